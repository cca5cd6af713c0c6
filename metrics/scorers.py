"""Scorers of ordinal classifiers: negated losses that ask a fitted classifier for the order of its classes.

The losses themselves are in `ordinal`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import _check_response_method

from .ordinal import brier_score_multi, ranked_probability_score, rare_brier, rare_log_loss

__all__ = [
    "OrdinalScorer",
    "brier_scorer",
    "log_loss_scorer",
    "ranked_probability_scorer",
    "rare_brier_scorer",
    "rare_log_loss_scorer",
]


def _ordered_model(estimator: Any) -> Any:
    """Return what knows the order of the classes: the estimator, or what a pipeline or a search holds."""
    model = estimator
    while model is not None and not hasattr(model, "categories_"):
        if isinstance(model, Pipeline):
            model = model.steps[-1][1]
        else:
            model = getattr(model, "best_estimator_", getattr(model, "estimator_", None))
    return estimator if model is None else model


@dataclass(frozen=True, repr=False)
class OrdinalScorer:
    """A negated loss of the probabilities of a fitted classifier of ordered classes, for ``scoring=``.

    Greater is better. The five instances of this module are

    - ``brier_scorer`` for :func:`brier_score_multi`;
    - ``log_loss_scorer`` for :func:`sklearn.metrics.log_loss`, also where the rows to score lack a class;
    - ``ranked_probability_scorer`` for :func:`ranked_probability_score`;
    - ``rare_brier_scorer`` for :func:`rare_brier`;
    - ``rare_log_loss_scorer`` for :func:`rare_log_loss`.

    The columns of ``predict_proba`` are those of ``classes_``. The order of the classes is that of ``categories_``; a
    classifier without it, and without one that has it at the end of a pipeline or as the best one of a search, is taken
    to have its ``classes_`` in order. The rare class is the last category, or the first one if the classifier has
    ``rare="first"``. A classifier that predicts the rare class only has ``predict_rare_proba``, which the rare losses
    use where there is no ``predict_proba``.

    Parameters
    ----------
    name : str
        How it prints.
    loss : callable
        A function ``loss(y_true, y_proba, *, sample_weight, ...)``, smaller is better.
    arguments : tuple of {"labels", "categories", "rare"}
        What of the classifier the loss takes besides, as keywords.
    sample_weight_request : bool, str or None, default=None
        Whether weights are asked for where metadata is routed, see :meth:`set_score_request`.

    See Also
    --------
    sklearn.metrics.make_scorer : Scorers of losses that need nothing from the classifier but its predictions.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from estimand.metrics import brier_scorer, ranked_probability_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(cross_val_score(LogisticRegression(max_iter=1000), X, y, scoring=brier_scorer).mean() > -0.1)
    True
    >>> ranked_probability_scorer(LogisticRegression(max_iter=1000).fit(X, y), X, y) < 0
    True
    """

    name: str
    loss: Callable[..., float]
    arguments: tuple[str, ...]
    sample_weight_request: bool | str | None = None

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the negated loss of `estimator` on rows `X` with labels `y`.

        Parameters
        ----------
        estimator : object
            A fitted classifier with ``classes_`` and ``predict_proba``.
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Their labels, of classes that `estimator` knows.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Nonnegative weights of the rows.

        Returns
        -------
        score : float
            Greater is better.

        Raises
        ------
        AttributeError
            If `estimator` predicts no probabilities.
        ValueError
            If the loss refuses the labels, the probabilities or the weights.
        """
        methods = ["predict_proba", "predict_rare_proba"] if "rare" in self.arguments else ["predict_proba"]
        probabilities = _check_response_method(estimator, methods)(X)
        model = _ordered_model(estimator)
        categories = getattr(model, "categories_", estimator.classes_)
        rare = categories[0 if getattr(model, "rare", "last") == "first" else -1]
        known = {"labels": estimator.classes_, "categories": categories, "rare": rare}
        keywords = {name: known[name] for name in self.arguments}
        return -self.loss(y, probabilities, sample_weight=sample_weight, **keywords)

    def set_score_request(self, *, sample_weight: bool | str | None) -> OrdinalScorer:
        """Return a copy that asks for `sample_weight` where scikit-learn routes metadata.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether weights are wanted, or the name under which they are passed. None: passing weights is an error.

        Returns
        -------
        scorer : OrdinalScorer
            The copy; the scorer itself, which others may use, stays as it is.
        """
        return replace(self, sample_weight_request=sample_weight)

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what the scorer asks for where scikit-learn routes metadata.

        Returns
        -------
        routing : MetadataRequest
            The request of ``sample_weight``.
        """
        routing = MetadataRequest(owner=self.name)
        routing.score.add_request(param="sample_weight", alias=self.sample_weight_request)
        return routing

    def _accept_sample_weight(self) -> bool:
        # Searches of scikit-learn ask this before they pass weights without routing.
        return True

    def __repr__(self) -> str:
        return self.name


brier_scorer = OrdinalScorer("brier_scorer", brier_score_multi, ("labels",))
ranked_probability_scorer = OrdinalScorer(
    "ranked_probability_scorer", ranked_probability_score, ("labels", "categories")
)
log_loss_scorer = OrdinalScorer("log_loss_scorer", log_loss, ("labels",))
rare_brier_scorer = OrdinalScorer("rare_brier_scorer", rare_brier, ("labels", "rare"))
rare_log_loss_scorer = OrdinalScorer("rare_log_loss_scorer", rare_log_loss, ("labels", "rare"))
