"""Types of the homotopy kernel."""

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]

def walk(
    Z: _Array,
    norms: _Array,
    r: _Array,
    Q: _Array,
    R: _Array,
    b: _Array,
    w: _Array,
    c: _Array,
    a: _Array,
    g: _Array,
    work: _Array,
    active: npt.NDArray[np.intc],
    state: npt.NDArray[np.int8],
    sign: npt.NDArray[np.int8],
    counts: npt.NDArray[np.intc],
    lam: float,
    target: float,
    x: _Array,
    floor: float,
    max_steps: int,
) -> tuple[float, int, bool]:
    """Walk along the path from `lam` down to `target`, at most `max_steps` breakpoints.

    Parameters
    ----------
    Z : array of shape (n, p), Fortran order
        The columns, with penalty weights divided out; the penalty is ``lam |x|_1`` beside ``|y - Z x|^2 / 2``.
    norms : array of shape (p,)
        Norms of the columns.
    r : array of shape (n,)
        ``y - Q b``.
    Q, R : arrays of shape (n, m) and (m, m), Fortran order
        The factors; the first ``counts[0]`` columns are in use, m limits the number of active columns.
    b, w : arrays of shape (m,)
        ``Q^T y`` and ``R^-T s``.
    c, a : arrays of shape (p,)
        The correlations are ``c + lam a``.
    g : array of shape (p,)
        Workspace.
    work : array of shape (m, 3), Fortran order
        Workspace.
    active : array of shape (m,)
        The active columns, in the order of the factors.
    state : array of shape (p,)
        0 inactive, 1 active, 2 barred because it lies in the span of the active columns.
    sign : array of shape (p,)
        Signs of the active columns.
    counts : array of shape (3,)
        Active columns; breakpoints since lam last fell; updates of the factors. The walk ends where the second
        exceeds m: ties drop what they have just added.
    lam, target : float
        From and to where.
    x : array of shape (p,)
        Receives the active coefficients at the lam returned; the others are not touched.
    floor : float
        A column whose part outside the active span is below ``floor`` times its norm is barred.
    max_steps : int
        Breakpoints.

    Returns
    -------
    lam : float
        The lam reached.
    taken : int
        Breakpoints passed.
    arrived : bool
        Whether `target` was reached.
    """
