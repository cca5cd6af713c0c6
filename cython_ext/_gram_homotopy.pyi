import numpy as np
import numpy.typing as npt

def encode(
    gram: npt.NDArray[np.float64],
    correlation: npt.NDArray[np.float64],
    codes: npt.NDArray[np.float64],
    steps: npt.NDArray[np.int32],
    alpha: float,
    positive: bool,
    fraction: float,
    largest: int,
    max_steps: int,
) -> None: ...
