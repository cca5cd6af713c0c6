import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]

def prox_anchored_chains(z: _Doubles, weights: _Doubles, step: float, out: _Doubles) -> None: ...
