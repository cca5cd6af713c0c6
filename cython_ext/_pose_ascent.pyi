import numpy as np
import numpy.typing as npt

def ascend(
    kind: int,
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    R0: npt.NDArray[np.float64],
    t0: npt.NDArray[np.float64],
    least_depth: float,
    R: npt.NDArray[np.float64],
    t: npt.NDArray[np.float64],
    s: float,
    barrier: float,
    last_barrier: float,
    enough: float,
    max_steps: int,
) -> tuple[float, int]: ...
