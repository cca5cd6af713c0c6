import numpy as np
import numpy.typing as npt

def add_schur(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    scratch: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
) -> None: ...
