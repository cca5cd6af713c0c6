"""The adapter to scikit-learn's orthogonal matching pursuit."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from sklearn.linear_model import orthogonal_mp_gram

from ..base import Solver
from ..solution import Callback, Solution, Start
from ..sparse_coding.atoms import FloatArray
from .problem import SparseApproximationProblem
from .pursuit import completed

__all__ = ["Sklearn"]


class Sklearn(Solver[SparseApproximationProblem, FloatArray]):
    """Scikit-learn's orthogonal matching pursuit, :func:`sklearn.linear_model.orthogonal_mp_gram`.

    Parameters
    ----------
    time_limit : None, default=None
        Scikit-learn has no time limit; anything else is refused.

    Notes
    -----
    Scikit-learn expects atoms of length 1, and its thresholds are absolute: atoms and signals are scaled to length 1,
    and the weights found scaled back. It stops at the first atom that depends on others, and at correlations of about
    1e-8; a code with which the tolerance is missed is completed by this package's own pursuit.

    References
    ----------
    R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm using batch orthogonal
    matching pursuit", Technion CS-2008-08 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.sparse_approximation import SparseApproximationProblem
    >>> from estimand.solvers.sparse_approximation.sklearn import Sklearn
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseApproximationProblem(X=np.array([[1.2, 1.6]]), D=D, n_nonzero_coefs=1)
    >>> Sklearn().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 2.0]]
    """

    name = "sklearn"
    problem = SparseApproximationProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"n_nonzero_coefs", "error_tol"})
    max_iter = 2**31 - 1  # the problem bounds the number of atoms

    def __init__(self, time_limit: float | None = None) -> None:
        self.time_limit = time_limit

    def refuses(self, problem: SparseApproximationProblem) -> str | None:
        """Return that there is no time limit if one is set, or None."""
        return None if self.time_limit is None else "scikit-learn has no time limit"

    def solve(
        self,
        problem: SparseApproximationProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Code the signals that are not 0, or below the bound, then certify all codes."""
        x = problem.initial_point()
        if start is not None:
            self.start_point(problem, start)
        bound = 0.0 if problem.error_tol is None else problem.error_tol
        rows = np.flatnonzero(problem.square > bound)
        if rows.size:
            length = np.sqrt(problem.square[rows])
            X = problem.X[rows] / length[:, None]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*ended prematurely.*", category=RuntimeWarning)
                unit = _codes(problem, X, bound / problem.square[rows])
            x[rows] = unit * length[:, None] / problem.dictionary.norm
        n_iter = int(np.count_nonzero(x, axis=1).max(initial=0))
        return completed(self, problem, x, tol=tol, n_iter=n_iter, n_jobs=1)


def _codes(problem: SparseApproximationProblem, X: FloatArray, error_tol: FloatArray) -> FloatArray:
    """Return the codes of signals of length 1 in atoms of length 1, each signal with its own bound."""
    atoms = problem.dictionary
    gram = atoms.gram / atoms.norm / atoms.norm[:, None]
    correlation = X @ (atoms.D / atoms.norm[:, None]).T
    if problem.n_nonzero_coefs is not None:
        codes = orthogonal_mp_gram(gram, correlation.T, n_nonzero_coefs=problem.largest)
        return np.asarray(codes).reshape(problem.n_atoms, X.shape[0]).T
    rows = [
        np.atleast_1d(orthogonal_mp_gram(gram, row, tol=bound, norms_squared=np.ones(1)))
        for row, bound in zip(correlation, error_tol, strict=True)
    ]
    return np.stack(rows)
