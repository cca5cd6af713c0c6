import numpy as np
import numpy.typing as npt

def pursue(
    gram: npt.NDArray[np.float64],
    norm: npt.NDArray[np.float64],
    correlation: npt.NDArray[np.float64],
    square: npt.NDArray[np.float64],
    floor: npt.NDArray[np.float64],
    codes: npt.NDArray[np.float64],
    largest: int,
    error_tol: float,
    least_gain: float,
) -> None: ...
