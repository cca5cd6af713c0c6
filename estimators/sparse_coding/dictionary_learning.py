"""Dictionaries learned with any penalty of the table: online, in batches, or as studies of visual cortex do it.

Codes come from :mod:`estimand.solvers.sparse_coding`, the steps of the dictionary from `_learning`.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ...penalties import Penalty
from ...solvers import Solution, Solver
from ...solvers.solution import asks_to_stop
from ...solvers.sparse_coding import SparseCodingProblem
from ...solvers.sparse_coding.atoms import Atoms
from .._base import InterruptedFit, fit_or_nothing, partial_fit_or_former, report
from ._encode import penalised
from ._initial import initial_dictionary
from ._learning import Learner, Statistics, longest_residuals, settle
from ._run import Run, batches, split
from ._scaling import extreme
from .coder import CodingMixin

__all__ = ["LqDictionaryLearning"]

FloatArray = npt.NDArray[np.float64]

#: Tolerance of codes.
_CODE_TOL = 1e-6
#: What to do about codes that miss it: `tol` and `max_iter` are those of learning.
_REMEDY = "pass an instance of the solver with a larger max_iter"


class LqDictionaryLearning(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CodingMixin):  # type: ignore[misc]
    r"""A dictionary for sparse codes with l1, lq, l0, CEL0, MCP, SCAD or any other penalty of the table.

    Minimises, over codes W and atoms D of length at most 1,

    .. math:: \sum_i \left(\frac{1}{2} \|x_i - w_i D\|_2^2 + \sum_j P(w_{ij})\right), \qquad \|D_j\|_2 \le 1

    from one batch of signals to the next (``"online"``), over all signals at a time (``"batch"``), or by gradient steps
    on batches (``"paper"``). At the end all atoms have length 1.

    Parameters
    ----------
    n_components : int or None, default=None
        The number K of atoms; None means the number of rows of `init`, or else of features.
    penalty : {"l1", "elastic_net", "lq", "l0", "cel0", "mcp", "scad", "log", "capped_l1"} or Penalty, default="lq"
        The function ``P``. An object keeps its own parameters, and `alpha`, `q` and `gamma` are ignored.
    alpha : float, default=1.0
        Strength of a penalty given by name, positive.
    q : float, default=0.5
        Exponent of ``"lq"``, between 0 and 1.
    gamma : float or None, default=None
        Parameter of ``"mcp"`` (positive, 3 if None) and ``"scad"`` (above 2, 3.7 if None).
    positive_code : bool, default=False
        Whether codes are nonnegative.
    positive_dict : bool, default=False
        Whether atoms are nonnegative.
    method : {"online", "batch", "paper"}, default="online"
        ``"online"`` updates the dictionary after every batch from decayed statistics of all batches so far, ``"batch"``
        after the codes of all signals, so that the objective never rises. ``"paper"`` takes gradient steps of length
        0.005 on batches, with codes by iterative thresholding with steps of at most 0.05; its signals are to be
        whitened, `forget` and `dead_atoms` are not used, and ``init="random"`` is what the paper began with.
    batch_size : int, default=256
        Signals in a batch.
    max_iter : int, default=1000
        Passes over the signals; for ``method="paper"`` batches.
    tol : float, default=1e-3
        Learning stops once the objective, smoothed over half a pass, has not fallen by the share `tol` in
        `n_iter_no_change` updates and half a pass, or the updates of a whole pass have each moved the dictionary by
        less than a thousandth of `tol`; never in the first pass. 0 never stops.
    n_iter_no_change : int, default=10
        See `tol`.
    init : {"data", "random", "svd"} or array-like of shape (n_components, n_features), default="data"
        The first atoms: signals of different directions, Gaussian directions, right singular vectors of X, or these,
        which have twice as many columns if `split_sign`.
    forget : float, default=5.0
        Batch t of the online method counts the statistics before it ``(1 - 1 / (t + 1))^forget`` times, so that about
        the last ``t / forget`` batches matter; at least 0, which forgets nothing.
    dead_atoms : {"residual", "data"} or None, default="residual"
        What takes the place of an atom that none of the last ``10 n_components`` signals used: the residual of the
        worst explained signal of the batch, a random signal of it, or nothing.
    split_sign : bool, default=False
        Whether a signal enters as its positive and its negative part side by side, as for ON and OFF cells; atoms then
        have twice as many entries as there are features.
    transform_penalty : str, Penalty or None, default=None
        The penalty of `transform` and `score`; None means `penalty`.
    transform_alpha : float or None, default=None
        Its strength, positive; None means `alpha`.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.sparse_coding.SparseCodingProblem`; ``method="paper"`` has its own in
        `fit`.
    shuffle : bool, default=True
        Whether the signals are put into another order for every pass.
    callback : callable or None, default=None
        Called with this estimator after every update, when `components_`, `n_steps_` and `objective_history_` are up to
        date; learning stops if it returns True.
    random_state : int, RandomState or None, default=None
        For the first atoms, the batches, and the order of updates.
    n_jobs : int or None, default=None
        Threads of the coder; None means all that OpenMP may use. Results do not depend on it.
    verbose : bool or int, default=False
        Whether the objective is printed after every update.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The atoms, of length 1.
    n_components_ : int
        Their number.
    inner_stats_ : tuple of arrays of shape (n_components, n_components) and (n_components, n_features)
        Decayed sums, over batches, of the means of ``w^T w`` and ``w^T x`` in a batch: what `partial_fit` goes on from.
    usage_ : ndarray of shape (n_components,)
        The share of signals whose code uses each atom, over the last pass.
    objective_history_ : ndarray of shape (n_updates,)
        The mean objective of the signals of each update.
    n_iter_ : int
        Passes over the signals.
    n_steps_ : int
        Updates of the dictionary since `fit`, or the first `partial_fit`, began.
    solution_ : Solution
        Codes and certificate of the last batch of `fit` or `partial_fit`, for the dictionary before its update.
    solver_ : Solver
        The coder.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters.

    See Also
    --------
    PenalizedSparseCoder : Codes in a given dictionary.

    References
    ----------
    J. Mairal, F. Bach, J. Ponce and G. Sapiro, "Online learning for matrix factorization and sparse coding", JMLR 11
    (2010), algorithms 1 and 2. I. Rentzeperis, L. Calatroni, L. Perrinet and D. Prandi, "Beyond l1 sparse coding in
    V1", PLoS Comput. Biol. 19 (2023).

    Examples
    --------
    >>> from estimand import LqDictionaryLearning
    >>> from estimand.datasets import make_bars
    >>> X = make_bars(500, size=4, noise=0.5, random_state=0).X
    >>> model = LqDictionaryLearning(8, penalty="l0", alpha=50.0, positive_code=True, max_iter=20, random_state=0)
    >>> codes = model.fit_transform(X)
    >>> model.components_.shape, bool((codes >= 0).all())
    ((8, 16), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [str, Penalty],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "q": [Interval(Real, 0, 1, closed="both")],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "positive_code": ["boolean"],
        "positive_dict": ["boolean"],
        "method": [StrOptions({"online", "batch", "paper"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"data", "random", "svd"}), "array-like"],
        "forget": [Interval(Real, 0, None, closed="left")],
        "dead_atoms": [StrOptions({"residual", "data"}), None],
        "split_sign": ["boolean"],
        "transform_penalty": [str, Penalty, None],
        "transform_alpha": [Interval(Real, 0, None, closed="neither"), None],
        "solver": [str, Solver, type],
        "shuffle": ["boolean"],
        "callback": [callable, None],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
        "verbose": ["verbose"],
    }
    #: `max_iter` counts passes here, not iterations of the coder.
    _solver_options = ("n_jobs",)

    components_: npt.NDArray[Any]
    objective_history_: FloatArray
    inner_stats_: tuple[FloatArray, FloatArray]
    n_iter_: int
    n_steps_: int

    def __init__(
        self,
        n_components: int | None = None,
        *,
        penalty: Penalty | str = "lq",
        alpha: float = 1.0,
        q: float = 0.5,
        gamma: float | None = None,
        positive_code: bool = False,
        positive_dict: bool = False,
        method: str = "online",
        batch_size: int = 256,
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_iter_no_change: int = 10,
        init: str | npt.ArrayLike = "data",
        forget: float = 5.0,
        dead_atoms: str | None = "residual",
        split_sign: bool = False,
        transform_penalty: Penalty | str | None = None,
        transform_alpha: float | None = None,
        solver: str | Solver[Any, Any] = "auto",
        shuffle: bool = True,
        callback: Callable[[Any], Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.penalty = penalty
        self.alpha = alpha
        self.q = q
        self.gamma = gamma
        self.positive_code = positive_code
        self.positive_dict = positive_dict
        self.method = method
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.init = init
        self.forget = forget
        self.dead_atoms = dead_atoms
        self.split_sign = split_sign
        self.transform_penalty = transform_penalty
        self.transform_alpha = transform_alpha
        self.solver = solver
        self.shuffle = shuffle
        self.callback = callback
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_or_nothing
    def fit(self, X: Any, y: Any = None) -> LqDictionaryLearning:
        """Learn a dictionary from signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        self : LqDictionaryLearning
            The fitted estimator.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        signals, self._dtype = self._signals(X), X.dtype
        run = self._run(self._first_learner(signals), signals)
        passes = 0
        try:
            for passes in run.steps(signals):
                self._store(run, passes)
                if self.verbose:
                    print(f"update {self.n_steps_}, pass {passes}: objective {self.objective_history_[-1]:.6g}")
                if self.callback is not None and asks_to_stop(self.callback(self)):
                    break
        except KeyboardInterrupt as interrupt:
            if passes == 0:
                raise
            learner = self._learner()  # of the last update that was completed
            learner.normalise()
            self._store_learner(learner, passes)
            raise InterruptedFit("the fit was interrupted; the dictionary of the last update is kept") from interrupt
        self._finish(run, self.n_iter_)
        report(run.worst, remedy=_REMEDY, stacklevel=4)
        return self

    @partial_fit_or_former
    def partial_fit(self, X: Any, y: Any = None) -> LqDictionaryLearning:
        """Go on learning online, from the signals of X in batches of `batch_size`, in their order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        self : LqDictionaryLearning
            The fitted estimator.
        """
        first = not hasattr(self, "components_")
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=first)
        signals = self._signals(X)
        if first:
            self._dtype = X.dtype
            run, passes = self._run(self._first_learner(signals), signals), 0
        else:
            run, passes = self._run(self._learner(), signals), self.n_iter_
            run.history = list(self.objective_history_)
        for batch in batches(np.arange(len(signals)), self.batch_size):
            run.online_step(signals[batch])
        self._finish(run, passes + 1)
        report(run.worst, remedy=_REMEDY, stacklevel=4)
        return self

    def statistics(self, X: Any) -> Statistics:
        """Return what the codes of signals say about the dictionary, for `update`.

        The statistics of two chunks of signals add up to those of both, wherever they were computed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.

        Returns
        -------
        statistics : Statistics
            Sums over the signals; ``sum`` and ``+`` add them.
        """
        check_is_fitted(self)
        signals = self._signals(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))
        learner = Learner.begin(self.components_.astype(np.float64))
        codes = self._run(learner, signals).encode(signals)
        longest = longest_residuals(signals, codes.x, learner.D, len(learner.D), positive=self.positive_dict)
        return Statistics.of(signals, codes.x, codes.objective, longest)

    def update(self, statistics: Statistics) -> LqDictionaryLearning:
        """Fit the dictionary to the statistics of all signals: one iteration of ``method="batch"``.

        Unless `dead_atoms` is None, atoms that no signal used get the directions of the longest residuals.

        Parameters
        ----------
        statistics : Statistics
            Of the signals, for the present dictionary.

        Returns
        -------
        self : LqDictionaryLearning
            The fitted estimator.
        """
        check_is_fitted(self)
        self._validate_params()
        D = self.components_.astype(np.float64)
        if statistics.A.shape != (len(D), len(D)) or statistics.B.shape != D.shape:
            raise ValueError(f"statistics are those of {statistics.B.shape} components, and here these are {D.shape}.")
        learner = Learner(D, *self.inner_stats_, self.n_steps_, np.zeros(len(D)))
        learner.replace_statistics(statistics, self.batch_size)
        settle(D, learner.A, learner.B, check_random_state(self.random_state), positive=self.positive_dict)
        if self.dead_atoms is not None:
            learner.replace_dead(np.flatnonzero(statistics.use == 0), statistics.residuals)
        learner.normalise()
        self._store_learner(learner, self.n_iter_ + 1)
        self.usage_ = statistics.use / statistics.n_signals
        self.objective_history_ = np.append(self.objective_history_, statistics.objective / statistics.n_signals)
        return self

    def transform(self, X: Any, y: Any = None) -> npt.NDArray[Any]:
        """Return the codes of signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            The codes.
        """
        solution = self._transformed(X)
        report([solution], stacklevel=4)
        return np.asarray(solution.x)

    def inverse_transform(self, codes: Any) -> npt.NDArray[Any]:
        """Return the signals that codes stand for.

        Parameters
        ----------
        codes : array-like or sparse matrix of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``codes @ components_``, with `split_sign` the difference of its halves.
        """
        check_is_fitted(self)
        codes = check_array(codes, accept_sparse="csr", dtype=[np.float64, np.float32])
        if codes.shape[1] != self.n_components_:
            raise ValueError(f"codes has {codes.shape[1]} columns, but there are {self.n_components_} components.")
        X = np.asarray(codes @ self.components_)
        return X[:, : self.n_features_in_] - X[:, self.n_features_in_ :] if self.split_sign else X

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean objective over signals: larger is better, for one and the same penalty.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        score : float
            The score.
        """
        solution = self._transformed(X)
        return float(-solution.objective / solution.x.shape[0])

    def _transformed(self, X: Any) -> Solution[Any]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        penalty = self.penalty if self.transform_penalty is None else self.transform_penalty
        alpha = self.alpha if self.transform_alpha is None else self.transform_alpha
        made = self._penalty(penalty, alpha, self.q, self.gamma)
        atoms = Atoms(self.components_.astype(np.float64))
        state = penalised(atoms, made, self.positive_code)
        X = split(X) if self.split_sign else X
        return self._encode(state, X, self.n_components_, _CODE_TOL, None, csr=False)

    def _signals(self, X: npt.NDArray[Any]) -> FloatArray:
        if np.any(extreme(X)):
            raise ValueError("X has signals shorter than 1e-100 or longer than 1e100: bring it into that range.")
        return np.ascontiguousarray(split(X) if self.split_sign else X, dtype=np.float64)

    def _first_learner(self, signals: FloatArray) -> Learner:
        init, count = self.init, self.n_components
        if not isinstance(init, str):
            init = check_array(init, dtype=np.float64, input_name="init")
            count = len(init) if count is None else count
        count = self.n_features_in_ if count is None else count
        self._source = check_random_state(self.random_state)
        return Learner.begin(initial_dictionary(signals, count, init, self._source, positive=self.positive_dict))

    def _run(self, learner: Learner, signals: FloatArray) -> Run:
        penalty = self._penalty(self.penalty, self.alpha, self.q, self.gamma)
        probe = SparseCodingProblem(X=signals[:1], D=learner.D, penalty=penalty, positive=self.positive_code)
        self.solver_, choice = self._resolve(probe)
        return Run(self, learner, self.solver_, choice, penalty, self._source)

    def _learner(self) -> Learner:
        """Return the dictionary as it is, with what it was learned from."""
        return Learner(self.components_.astype(np.float64), *self.inner_stats_, self.n_steps_, self._waiting)

    def _store(self, run: Run, passes: int) -> None:
        self._store_learner(run.learner, passes)
        self.objective_history_ = np.array(run.history)
        self.usage_, self.solution_ = run.usage, run.last

    def _store_learner(self, learner: Learner, passes: int) -> None:
        self.components_ = learner.D.astype(self._dtype)
        self.inner_stats_ = learner.A.copy(), learner.B.copy()
        self.n_steps_, self.n_iter_, self._waiting = learner.n_steps, passes, learner.waiting.copy()

    def _finish(self, run: Run, passes: int) -> None:
        """Give all atoms length 1, and store them."""
        run.learner.normalise()
        self._store(run, passes)

    def __sklearn_is_fitted__(self) -> bool:
        return "components_" in vars(self)

    @property
    def n_components_(self) -> int:
        """The number of atoms."""
        return int(self.components_.shape[0])

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
