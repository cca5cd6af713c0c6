from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

def sweep_dense(
    A: npt.NDArray[np.floating[Any]],
    residual: FloatArray,
    row_weight: FloatArray,
    means: FloatArray,
    centred: bool,
    curvature: FloatArray,
    weights: FloatArray,
    working: npt.NDArray[np.int64],
    v: FloatArray,
    code: int,
    alpha: float,
    p1: float,
    p2: float,
    positive: bool,
    tol: float,
    max_sweeps: int,
) -> tuple[int, float]: ...
def sweep_sparse(
    data: npt.NDArray[np.floating[Any]],
    indices: npt.NDArray[np.integer[Any]],
    indptr: npt.NDArray[np.integer[Any]],
    residual: FloatArray,
    row_weight: FloatArray,
    means: FloatArray,
    centred: bool,
    curvature: FloatArray,
    weights: FloatArray,
    working: npt.NDArray[np.int64],
    v: FloatArray,
    code: int,
    alpha: float,
    p1: float,
    p2: float,
    positive: bool,
    tol: float,
    max_sweeps: int,
) -> tuple[int, float]: ...
def sweep_gram(
    gram: FloatArray,
    correlation: FloatArray,
    weights: FloatArray,
    v: FloatArray,
    code: int,
    alpha: float,
    p1: float,
    p2: float,
    positive: bool,
    tol: float,
    max_sweeps: int,
) -> tuple[int, float]: ...
def prox_values(
    code: int, alpha: float, p1: float, p2: float, x: FloatArray, tau: FloatArray, out: FloatArray
) -> None: ...
def penalty_values(code: int, alpha: float, p1: float, p2: float, z: FloatArray, out: FloatArray) -> None: ...
