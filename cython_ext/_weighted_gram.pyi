import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]

def weighted_gram(
    X: _Doubles, rows: npt.NDArray[np.int32], weight: _Doubles, work: _Doubles, gram: _Doubles
) -> None: ...
