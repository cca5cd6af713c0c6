import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]

def descend(
    H: _Doubles, slope: _Doubles, x: _Doubles, threshold: _Doubles, ridge: _Doubles, tol: float, max_sweeps: int
) -> tuple[int, float]: ...
