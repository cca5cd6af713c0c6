import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

def weighted_gram(X: _Doubles, rows: _Ints, weight: _Doubles, work: _Doubles, gram: _Doubles) -> None: ...
def class_sums(X: _Doubles, y: _Ints, weight: _Doubles, n_weights: int, sums: _Doubles) -> None: ...
