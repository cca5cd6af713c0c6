import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

def dense_epochs(
    design: _Doubles,
    coef: _Doubles,
    residual: _Doubles,
    threshold: _Doubles,
    ridge: _Doubles,
    positive: bool,
    n_epochs: int,
    iterates: _Doubles,
) -> None: ...
def sparse_epochs(
    data: _Doubles,
    indices: _Ints,
    indptr: _Ints,
    columns: _Ints,
    mean_square: _Doubles,
    overlap: _Doubles,
    coef: _Doubles,
    residual: _Doubles,
    shadow: _Doubles,
    threshold: _Doubles,
    ridge: _Doubles,
    positive: bool,
    n_epochs: int,
    iterates: _Doubles,
) -> None: ...
