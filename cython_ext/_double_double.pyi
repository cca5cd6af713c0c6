import numpy as np
import numpy.typing as npt

def add_products(
    first: npt.NDArray[np.int32],
    second: npt.NDArray[np.int32],
    target: npt.NDArray[np.int32],
    coefficient: npt.NDArray[np.float64],
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    sign: float,
    total: npt.NDArray[np.float64],
) -> None: ...
def add_form(
    first: npt.NDArray[np.int32],
    second: npt.NDArray[np.int32],
    target: npt.NDArray[np.int32],
    coefficient: npt.NDArray[np.float64],
    matrix: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
) -> None: ...
def factors(matrix: npt.NDArray[np.float64], shift: float, factor: npt.NDArray[np.float64]) -> bool: ...
