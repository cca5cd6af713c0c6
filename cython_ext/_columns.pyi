import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

def add_sparse_columns(
    data: _Doubles, indices: _Ints, indptr: _Ints, columns: _Ints, coef: _Doubles, out: _Doubles
) -> None: ...
def add_dense_columns(design: _Doubles, columns: _Ints, coef: _Doubles, out: _Doubles) -> None: ...
