"""Sparse codes of signals in a given dictionary, as a transformer and as a function.

The mathematics lives in :mod:`estimand.solvers.sparse_coding` and :mod:`estimand.solvers.sparse_approximation`.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ...penalties import Penalty, make_penalty
from ...solvers import Solution, Solver
from ...solvers.sparse_approximation import SparseApproximationProblem
from ...solvers.sparse_coding.atoms import Atoms
from .._base import SolverMixin, fit_or_nothing, refuse_parameters_of_names, report
from ._encode import Statement, encode, penalised
from ._refit import refitted

__all__ = ["CodingMixin", "PenalizedSparseCoder", "sparse_encode"]

FloatArray = npt.NDArray[np.float64]

#: The parameters that a penalty given by name takes from the estimator, besides `alpha`.
_PARAMETERS = {"lq": "q", "mcp": "gamma", "scad": "gamma"}
#: What rounding codes to float32 leaves of a certificate.
_FLOAT32_TOL = 1e-7


class CodingMixin(SolverMixin):
    """What estimators that encode signals share: the penalty, one encoder for all signals, warnings."""

    _solver_options: tuple[str, ...] = ("max_iter", "time_limit", "verbose", "random_state", "n_jobs")

    penalty: Penalty | str

    def set_params(self, **params: Any) -> Any:
        """Set parameters, with a word of help for parameters of a penalty that was given by name."""
        refuse_parameters_of_names(self.penalty, params)
        return super().set_params(**params)

    def _penalty(self, penalty: Penalty | str, alpha: float, q: float, gamma: float | None) -> Penalty:
        """Return the penalty that the constructor's parameters name, checked."""
        if isinstance(penalty, Penalty):
            made: Penalty = clone(penalty)
        else:
            given = {"q": q, "gamma": gamma}
            name = _PARAMETERS.get(penalty)
            own = {name: given[name]} if name and given[name] is not None else {}
            made = make_penalty(penalty, alpha=alpha, **own)
        made.kernel_arguments()  # refuses parameters that are out of range before any work starts
        return made

    def _encode(
        self, state: Statement, X: npt.NDArray[Any], n_atoms: int, tol: float, mean: FloatArray | None, *, csr: bool
    ) -> Solution[Any]:
        """Return the codes of all signals, from the estimator's solver."""
        solver, choice = self._resolve(state(np.zeros((1, X.shape[1])), 1.0))
        if X.dtype == np.float32 and tol < _FLOAT32_TOL:
            warnings.warn(
                f"tol={tol:g} is out of reach for codes that are rounded to float32: {_FLOAT32_TOL:g} is used.",
                UserWarning,
                stacklevel=4,
            )
            tol = _FLOAT32_TOL
        solution = encode(solver, state, X, n_atoms, tol=tol, mean=mean, csr=csr)
        return replace(solution, choice=choice)


class PenalizedSparseCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CodingMixin):  # type: ignore[misc]
    r"""Sparse codes of signals in a given dictionary, with any penalty of the table.

    The code w of a signal x minimises

    .. math:: \frac{1}{2} \|x - w D\|_2^2 + \sum_j P(w_j)

    with the atoms as rows of D. There is no division by the number of features, as in
    :class:`sklearn.decomposition.SparseCoder`. With `n_nonzero_coefs` the code has at most so many nonzero entries,
    with `error_tol` as few as leave that squared error, and the penalty is not used.

    Parameters
    ----------
    dictionary : array-like of shape (n_components, n_features)
        The atoms D, none of them 0. They are used as they are, whatever their lengths.
    penalty : {"l1", "elastic_net", "lq", "l0", "cel0", "mcp", "scad", "log", "capped_l1"} or Penalty, default="l1"
        The function ``P``. An object keeps its own parameters, and `alpha`, `q` and `gamma` are ignored.
    alpha : float, default=1.0
        Strength of a penalty given by name, positive.
    q : float, default=0.5
        Exponent of ``"lq"``, between 0 and 1.
    gamma : float or None, default=None
        Parameter of ``"mcp"`` (positive, 3 if None) and ``"scad"`` (above 2, 3.7 if None).
    n_nonzero_coefs : int or None, default=None
        Largest number of nonzero entries of a code, at most the smaller of n_components and n_features.
    error_tol : float or None, default=None
        Squared error to reach with as few entries as possible, at least 0.
    positive : bool, default=False
        Whether codes are restricted to be nonnegative.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.sparse_coding.SparseCodingProblem`, or, with `n_nonzero_coefs` or
        `error_tol`, of :class:`~estimand.solvers.sparse_approximation.SparseApproximationProblem`; see
        :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The duality gap over ``||x||^2 / 2``, for other penalties than l1 what any single coordinate could gain over
        ``||x||``, is to be at most `tol` for every signal.
    max_iter : int or None, default=None
        Working sets a signal, or iterations of other backends; None means the backend's own default.
    fit_intercept : bool, default=False
        Whether the column means of the X given to `fit` are subtracted before coding, and added back by
        `inverse_transform`.
    debias : bool, default=False
        Whether codes are fitted again by least squares on the atoms that they use, nonnegative ones if `positive`. The
        certificate is that of the codes before.
    code_format : {"dense", "csr"}, default="dense"
        Whether codes are an array or a :class:`scipy.sparse.csr_array`.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use. Codes do not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The dictionary.
    n_components_ : int
        The number of atoms.
    n_features_in_ : int
        The number of features.
    mean_ : ndarray of shape (n_features,)
        Column means, with `fit_intercept` only.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where the X given to `fit` had some.

    Raises
    ------
    ValueError
        For bad data or parameters, a dictionary with an atom that is 0, both of `n_nonzero_coefs` and `error_tol`, and
        solvers that cannot solve the problem.

    See Also
    --------
    sparse_encode : The same as a function.

    References
    ----------
    I. Rentzeperis, L. Calatroni, L. Perrinet and D. Prandi, "Beyond l1 sparse coding in V1", PLoS Comput. Biol. 19
    (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PenalizedSparseCoder
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> X = np.array([[1.2, 1.6], [0.5, -1.0]])
    >>> PenalizedSparseCoder(D, penalty="l1", alpha=0.1).transform(X).round(6)
    array([[ 0. ,  0. ,  1.9],
           [ 0.4, -0.9,  0. ]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "dictionary": ["array-like"],
        "penalty": [str, Penalty],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "q": [Interval(Real, 0, 1, closed="both")],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left"), None],
        "error_tol": [Interval(Real, 0, None, closed="left"), None],
        "positive": ["boolean"],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        "debias": ["boolean"],
        "code_format": [StrOptions({"dense", "csr"})],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
    }

    mean_: FloatArray

    def __init__(
        self,
        dictionary: npt.ArrayLike,
        *,
        penalty: Penalty | str = "l1",
        alpha: float = 1.0,
        q: float = 0.5,
        gamma: float | None = None,
        n_nonzero_coefs: int | None = None,
        error_tol: float | None = None,
        positive: bool = False,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int | None = None,
        fit_intercept: bool = False,
        debias: bool = False,
        code_format: str = "dense",
        n_jobs: int | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.penalty = penalty
        self.alpha = alpha
        self.q = q
        self.gamma = gamma
        self.n_nonzero_coefs = n_nonzero_coefs
        self.error_tol = error_tol
        self.positive = positive
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.debias = debias
        self.code_format = code_format
        self.n_jobs = n_jobs

    @fit_or_nothing
    def fit(self, X: Any, y: Any = None) -> PenalizedSparseCoder:
        """Check the parameters, and take the means of the features if `fit_intercept`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        self : PenalizedSparseCoder
            The coder.
        """
        atoms = self._atoms()
        state = self._statement(atoms)
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self._check_width(X, atoms)
        self._resolve(state(np.zeros((1, X.shape[1])), 1.0))  # refuses what no solver can do
        if hasattr(self, "mean_"):
            del self.mean_
        if self.fit_intercept:
            with np.errstate(over="ignore"):
                mean = X.mean(axis=0, dtype=np.float64)
            if not np.all(np.isfinite(mean)):
                raise ValueError("X holds numbers whose sum overflows: rescale it, or use fit_intercept=False.")
            self.mean_ = mean
        return self

    def encode(self, X: Any) -> Solution[Any]:
        """Return the codes together with their certificate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.

        Returns
        -------
        solution : Solution
            Its ``x`` holds the codes, of shape (n_samples, n_components), its certificate is that of the worst signal.

        Raises
        ------
        ValueError
            For bad data and parameters.
        """
        if self.fit_intercept:
            check_is_fitted(self, "mean_")
        self._validate_params()
        atoms = self._atoms()
        state = self._statement(atoms)
        fitted = "n_features_in_" in vars(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False) if fitted else self._validated(X)
        self._check_width(X, atoms)
        mean = self.mean_ if self.fit_intercept else None
        solution = self._encode(state, X, self.n_components_, self.tol, mean, csr=self.code_format == "csr")
        if self.debias and self.n_nonzero_coefs is None and self.error_tol is None:
            solution = replace(solution, x=refitted(atoms, X, solution.x, mean, positive=self.positive))
        return solution

    def transform(self, X: Any, y: Any = None) -> Any:
        """Return the codes of signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals.
        y : object
            Not used.

        Returns
        -------
        codes : ndarray, or CSR array, of shape (n_samples, n_components)
            The codes.
        """
        solution = self.encode(X)
        report([solution], stacklevel=4)
        return solution.x

    def inverse_transform(self, codes: Any) -> npt.NDArray[Any]:
        """Return the signals that codes stand for, of shape (n_samples, n_features).

        Parameters
        ----------
        codes : array-like or sparse matrix of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``codes @ components_``, plus the means if `fit_intercept`.
        """
        D = self.components_
        codes = check_array(codes, accept_sparse="csr", dtype=[np.float64, np.float32])
        if codes.shape[1] != D.shape[0]:
            raise ValueError(f"codes has {codes.shape[1]} columns, but the dictionary has {D.shape[0]} atoms.")
        if self.fit_intercept:
            check_is_fitted(self, "mean_")
            return np.asarray(codes @ D + self.mean_).astype(codes.dtype, copy=False)
        return np.asarray(codes @ D).astype(codes.dtype, copy=False)

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean objective over signals: larger is better, for one and the same penalty.

        To compare penalties or strengths, score what is made of the codes, such as the error of a model behind them.

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
        solution = self.encode(X)
        return float(-solution.objective / solution.x.shape[0])

    def _statement(self, atoms: Atoms) -> Statement:
        """Return what states the problem of some signals.

        Raises
        ------
        ValueError
            For parameters that contradict each other, or the dictionary.
        """
        if self.n_nonzero_coefs is None and self.error_tol is None:
            return penalised(atoms, self._penalty(self.penalty, self.alpha, self.q, self.gamma), self.positive)
        if self.positive:
            raise ValueError("positive=True has no backend for n_nonzero_coefs or error_tol: use a penalty instead.")

        def state(X: FloatArray, factor: float) -> SparseApproximationProblem:
            error = None if self.error_tol is None else factor * (factor * float(self.error_tol))
            count = self.n_nonzero_coefs
            return SparseApproximationProblem(X=X, D=atoms.source, n_nonzero_coefs=count, error_tol=error, atoms=atoms)

        return state

    def _atoms(self) -> Atoms:
        try:
            return Atoms(check_array(self.dictionary, dtype=np.float64))
        except ValueError as error:
            raise ValueError(f"dictionary: {error}") from error

    def _validated(self, X: Any) -> npt.NDArray[Any]:
        return np.asarray(check_array(X, dtype=[np.float64, np.float32], estimator=self, input_name="X"))

    @staticmethod
    def _check_width(X: npt.NDArray[Any], atoms: Atoms) -> None:
        d = atoms.D.shape[1]
        if X.shape[1] != d:
            raise ValueError(f"X has {X.shape[1]} features, but the atoms of the dictionary have {d}.")

    @property
    def components_(self) -> npt.NDArray[Any]:
        """The dictionary."""
        return np.asarray(self.dictionary, dtype=np.float64)

    @property
    def n_components_(self) -> int:
        """The number of atoms."""
        return int(np.shape(self.dictionary)[0])

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return not self.fit_intercept or "mean_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.fit_intercept
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def sparse_encode(X: Any, dictionary: npt.ArrayLike, **params: Any) -> Any:
    """Return sparse codes of signals in a given dictionary.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Signals.
    dictionary : array-like of shape (n_components, n_features)
        The atoms.
    **params : dict
        Parameters of :class:`PenalizedSparseCoder`.

    Returns
    -------
    codes : ndarray, or CSR array, of shape (n_samples, n_components)
        The codes.

    Raises
    ------
    ValueError
        For bad data and parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import sparse_encode
    >>> sparse_encode(np.array([[3.0, 0.2]]), np.eye(2), penalty="l1", alpha=0.5)
    array([[2.5, 0. ]])
    """
    if params.get("fit_intercept"):
        raise ValueError("fit_intercept=True needs a PenalizedSparseCoder, which keeps the means.")
    return PenalizedSparseCoder(dictionary, **params).transform(X)
