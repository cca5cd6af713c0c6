"""PRESTO with its penalty chosen by cross-validation."""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from ...metrics import brier_scorer, log_loss_scorer, rare_brier_scorer, rare_log_loss_scorer
from ...solvers import Solution, Solver
from ...solvers.ordinal.problem import OrdinalPoint
from .._base import fit_or_nothing, report
from ._data import Classes, standardised, validated
from .classifier import PrestoClassifier, PrestoModel
from .path import coefficients, grid, solve_path

__all__ = ["PrestoClassifierCV"]

FloatArray = npt.NDArray[np.float64]

_OWN_PARAMETERS = ("alphas", "n_alphas", "alpha_min_ratio", "cv", "scoring", "selection", "n_jobs", "random_state")


#: Scorers by the names that `scoring` takes besides scikit-learn's own.
_SCORERS = {
    "brier": brier_scorer,
    "log_loss": log_loss_scorer,
    "rare_brier": rare_brier_scorer,
    "rare_log_loss": rare_log_loss_scorer,
}


class _FoldClassifier(PrestoClassifier):
    """A classifier that scorers ask about the same rows at each penalty: these are validated once."""

    rows: Any
    predictors: FloatArray

    def boundary_function(self, X: Any) -> FloatArray:
        return self.predictors if X is self.rows else super().boundary_function(X)


def _fold_scores(
    template: _FoldClassifier,
    solver: Solver[Any, Any],
    data: tuple[Any, npt.NDArray[Any], FloatArray | None, Classes],
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    alphas: FloatArray,
    scorer: Any,
) -> tuple[FloatArray, list[Solution[OrdinalPoint]]]:
    """Fit a path on the training rows; return the score on the test rows at each penalty."""
    X, y, weight, classes = data
    part = standardised(template, X[train], classes.codes(y[train]), None if weight is None else weight[train], classes)
    problem = template._problem(part, classes.ordinal.size, 1.0)
    solutions = solve_path(solver, problem, list(alphas), template.tol, stop_early=False)
    if any(each.status == "interrupted" for each in solutions):
        raise KeyboardInterrupt("the cross-validation was interrupted")  # the other folds are not to begin
    template.rows, labels, scores = X[test], y[test], []
    options = {} if weight is None else {"sample_weight": weight[test]}
    for intercept, coef in zip(*coefficients(part, problem, solutions), strict=True):
        template.intercept_, template.coef_ = intercept, coef
        template.predictors = np.asarray(template.rows @ coef.T + intercept)
        scores.append(scorer(template, template.rows, labels, **options))
    return np.array(scores), solutions


class PrestoClassifierCV(PrestoModel):
    r"""PRESTO with the strength of its penalty chosen by cross-validation.

    Minimises what :class:`PrestoClassifier` minimises at the `alpha` with the best mean score over the folds; each fold
    is standardised on its own, and solved along the whole grid from one solution to the next.

    Parameters
    ----------
    alphas : array-like or None, default=None
        The penalties to try; None makes a grid from the smallest that sets all penalised coefficients to 0.
    n_alphas : int, default=20
        Length of that grid.
    alpha_min_ratio : float or None, default=None
        Its smallest over its largest penalty, in (0, 1); None means 1e-2, or 1e-5 where ``l1_ratio < 0.1``.
    cv : int, splitter, iterable or None, default=5
        The folds. An int means shuffled stratified folds, which keep a rare class in every training part.
    scoring : str or callable, default="brier"
        ``"brier"`` (over all classes), ``"log_loss"``, ``"rare_brier"``, ``"rare_log_loss"`` (of the rare class against
        the others), the name of a scikit-learn scorer or a scorer.
    selection : {"min", "1se"}, default="min"
        The best mean score (the larger penalty of a tie), or the largest penalty whose mean score is within one
        standard error of it.
    l1_ratio, base_penalty, penalty_weights, link, standardize, categories, rare, monotone, crossing, class_weight
        As for :class:`PrestoClassifier`. Test folds are scored with the repair `crossing`, or ``"rare"`` for ``"raw"``.
    solver, tol, gap_tol, max_iter, verbose
        As for :class:`PrestoClassifier`.
    n_jobs : int or None, default=None
        Folds at a time, in processes unless a ``joblib.parallel_config`` says otherwise.
    random_state : int, RandomState or None, default=None
        Shuffles the folds where `cv` is an int.

    Attributes
    ----------
    alphas_ : ndarray of shape (n_alphas,)
        The penalties tried, largest first.
    alpha_ : float
        The one that was chosen.
    best_index_ : int
        Its place in `alphas_`.
    scores_ : ndarray of shape (n_alphas, n_folds)
        Scores on the test folds, larger being better: losses are negated.
    classes_, categories_, class_order_, intercept_, coef_, diff_coef_, scale_, crossing_fraction_
        As for :class:`PrestoClassifier`, from the fit on all rows.
    n_observations_, loglik_, null_loglik_, df_, aic_, bic_, objective_, dual_gap_, kkt_, converged_, n_iter_
        As for :class:`PrestoClassifier`, from the fit on all rows.
    solver_, solution_
        As for :class:`PrestoClassifier`, from the fit on all rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters, where nothing is penalised and no `alphas` are given, and where the training part of
        a fold lacks a class.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), section 4.

    Examples
    --------
    >>> from estimand import PrestoClassifierCV
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(random_state=0)
    >>> model = PrestoClassifierCV(n_alphas=5, random_state=0).fit(data.X, data.y)
    >>> model.scores_.shape, bool(model.alpha_ == model.alphas_[model.best_index_])
    ((5, 5), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **{name: rule for name, rule in PrestoModel._parameter_constraints.items() if name != "alpha"},
        "alphas": ["array-like", None],
        "n_alphas": [Interval(Integral, 1, None, closed="left")],
        "alpha_min_ratio": [Interval(Real, 0, 1, closed="neither"), None],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(_SCORERS) | set(get_scorer_names())), callable],
        "selection": [StrOptions({"min", "1se"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        alphas: npt.ArrayLike | None = None,
        n_alphas: int = 20,
        alpha_min_ratio: float | None = None,
        cv: Any = 5,
        scoring: Any = "brier",
        selection: str = "min",
        l1_ratio: float = 1.0,
        base_penalty: float = 1.0,
        penalty_weights: npt.ArrayLike | None = None,
        link: str = "logit",
        standardize: bool = True,
        categories: Any = "auto",
        rare: str = "last",
        monotone: str = "likelihood",
        crossing: str = "rare",
        class_weight: dict[Any, float] | str | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        gap_tol: float | None = None,
        max_iter: int = 100,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.l1_ratio = l1_ratio
        self.base_penalty = base_penalty
        self.penalty_weights = penalty_weights
        self.link = link
        self.standardize = standardize
        self.categories = categories
        self.rare = rare
        self.monotone = monotone
        self.crossing = crossing
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.gap_tol = gap_tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: to `fit` itself and to the splitter."""
        mapping = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(splitter=check_cv(self.cv), method_mapping=mapping)

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> PrestoClassifierCV:
        """Choose the penalty by cross-validation, then fit on all samples.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The features.
        y : array-like of shape (n_samples,)
            The labels.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights, used in the fits and in the scores of the test folds.
        **params : dict
            Passed to the splitter where metadata routing is enabled.

        Returns
        -------
        self : PrestoClassifierCV
            The fitted classifier.
        """
        routed = process_routing(self, "fit", sample_weight=sample_weight, **params) if params else None
        rows = X, y, weight, classes = validated(self, X, y, sample_weight)
        codes = classes.codes(y)
        data = standardised(self, X, codes, weight, classes)
        problem = self._problem(data, classes.ordinal.size, 1.0)
        self.solver_, choice = self._resolve(problem)
        alphas = grid(self.solver_, problem, self.alphas, self.n_alphas, self.alpha_min_ratio, self.tol)
        folds = list(self._splitter().split(X, codes, **(routed.splitter.split if routed else {})))
        _check_folds(folds, codes, weight, classes)
        named = _SCORERS.get(self.scoring, self.scoring) if isinstance(self.scoring, str) else self.scoring
        scorer = check_scoring(self._template(classes), scoring=named)
        results = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)(
            delayed(_fold_scores)(self._template(classes), self.solver_, rows, train, test, alphas, scorer)
            for train, test in folds
        )
        scores = np.stack([fold for fold, _ in results], axis=1)
        best = self._select(scores)
        path = solve_path(self.solver_, problem, list(alphas[: best + 1]), self.tol, stop_early=False)
        self._store_classes(classes)
        self.alphas_, self.scores_, self.best_index_, self.alpha_ = alphas, scores, best, float(alphas[best])
        eta = self._store(data, problem.at(self.alpha_), replace(path[-1], choice=choice))
        self._store_crossing(data, eta)
        if best == alphas.size - 1 > 0:
            warnings.warn(
                f"The best penalty, {self.alpha_:.3g}, is the smallest of the grid: pass smaller alphas or a smaller "
                "alpha_min_ratio.",
                UserWarning,
                stacklevel=3,
            )
        report([*path, *(solution for _, solutions in results for solution in solutions)], stacklevel=4)
        return self

    def _template(self, classes: Classes) -> _FoldClassifier:
        """Return a classifier with these parameters, for a fold to give it coefficients."""
        shared = {name: value for name, value in self.get_params(deep=False).items() if name not in _OWN_PARAMETERS}
        template = _FoldClassifier(**shared)
        if self.crossing == "raw":
            template.crossing = "rare"
        template._store_classes(classes)
        template.n_features_in_ = self.n_features_in_
        return template

    def _splitter(self) -> Any:
        if isinstance(self.cv, Integral) or self.cv is None:
            seed = check_random_state(self.random_state)
            return StratifiedKFold(5 if self.cv is None else int(self.cv), shuffle=True, random_state=seed)
        return check_cv(self.cv, classifier=True)

    def _select(self, scores: FloatArray) -> int:
        means = scores.mean(axis=1)
        best = int(np.argmax(means))
        if self.selection == "1se" and scores.shape[1] > 1:
            error = scores[best].std(ddof=1) / np.sqrt(scores.shape[1])
            best = int(np.argmax(means >= means[best] - error))
        return best


def _check_folds(
    folds: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]],
    codes: npt.NDArray[np.int32],
    weight: FloatArray | None,
    classes: Classes,
) -> None:
    """Refuse folds whose training part lacks a class, or whose test part has no weight."""
    for number, (train, test) in enumerate(folds):
        share = np.ones(codes.size) if weight is None else weight
        totals = np.bincount(codes[train], share[train], minlength=classes.ordinal.size)
        if not np.all(totals > 0):
            missing = classes.ordinal[~(totals > 0)].tolist()
            raise ValueError(
                f"The training part of fold {number} has no sample of the class {missing[0]!r}: use fewer folds, or a "
                "stratified splitter."
            )
        if not share[test].sum() > 0:
            raise ValueError(f"The test part of fold {number} has no sample of positive weight: use fewer folds.")
