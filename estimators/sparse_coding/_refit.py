"""Least squares on the atoms that codes use: without the bias of the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from ...solvers.sparse_coding.atoms import Atoms

__all__ = ["refitted"]

FloatArray = npt.NDArray[np.float64]


def refitted(atoms: Atoms, X: npt.NDArray[Any], codes: Any, mean: FloatArray | None, *, positive: bool) -> Any:
    """Return codes of least squared error on the supports of the given ones, in their format and precision.

    Parameters
    ----------
    atoms : Atoms
        The dictionary.
    X : array of shape (n, d)
        Signals.
    codes : array, or CSR array, of shape (n, K)
        Codes whose nonzero entries say which atoms to use.
    mean : array of shape (d,) or None
        What is subtracted from each signal.
    positive : bool
        Whether codes are to be nonnegative.
    """
    table = sparse.csr_array(codes)
    values = np.empty(table.nnz, dtype=codes.dtype)
    for i, (first, last) in enumerate(zip(table.indptr[:-1], table.indptr[1:], strict=True)):
        if first == last:
            continue
        signal = X[i].astype(np.float64) - (0.0 if mean is None else mean)
        A = atoms.D[table.indices[first:last]].T
        fit = optimize.nnls(A, signal)[0] if positive else np.linalg.lstsq(A, signal)[0]
        values[first:last] = fit
    fitted = sparse.csr_array((values, table.indices.copy(), table.indptr.copy()), shape=table.shape)
    fitted.eliminate_zeros()
    return fitted if sparse.issparse(codes) else fitted.toarray()
