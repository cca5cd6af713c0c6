import numpy as np
import numpy.typing as npt

def encode(
    gram: npt.NDArray[np.float64],
    norm: npt.NDArray[np.float64],
    code: int,
    parameters: npt.NDArray[np.float64],
    positive: bool,
    threshold: npt.NDArray[np.float64],
    correlation: npt.NDArray[np.float64],
    square: npt.NDArray[np.float64],
    q: npt.NDArray[np.float64],
    codes: npt.NDArray[np.float64],
    rounds: npt.NDArray[np.int32],
    tol: float,
    gap_tol: float,
    fraction: float,
    largest: int,
    max_rounds: int,
) -> None: ...
