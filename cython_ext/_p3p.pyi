import numpy as np
import numpy.typing as npt

def solve(
    rays: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int32],
) -> None: ...
