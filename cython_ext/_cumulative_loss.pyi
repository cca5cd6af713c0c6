import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

def evaluate(
    eta: _Doubles,
    y: _Ints,
    weight: _Doubles,
    link: int,
    gradient: _Doubles,
    curvature: _Doubles,
    total_gradient: _Doubles,
    total_curvature: _Doubles,
) -> float: ...
def value(eta: _Doubles, direction: _Doubles, step: float, y: _Ints, weight: _Doubles, link: int) -> float: ...
def longest_step(eta: _Doubles, direction: _Doubles, y: _Ints, everywhere: bool) -> float: ...
