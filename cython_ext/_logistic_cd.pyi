from typing import Any

import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Indices = npt.NDArray[np.signedinteger[Any]]

def curvatures_dense(X: _Doubles, h: _Doubles, out: _Doubles) -> None: ...
def curvatures_csc(data: _Doubles, indices: _Indices, indptr: _Indices, h: _Doubles, out: _Doubles) -> None: ...
def descend_dense(
    X: _Doubles,
    h: _Doubles,
    r: _Doubles,
    w: _Doubles,
    curvature: _Doubles,
    threshold: _Doubles,
    ridge: _Doubles,
    max_epochs: int,
    ratio: float,
) -> bool: ...
def descend_csc(
    data: _Doubles,
    indices: _Indices,
    indptr: _Indices,
    h: _Doubles,
    r: _Doubles,
    w: _Doubles,
    curvature: _Doubles,
    threshold: _Doubles,
    ridge: _Doubles,
    max_epochs: int,
    ratio: float,
) -> bool: ...
