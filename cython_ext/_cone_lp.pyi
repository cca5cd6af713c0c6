import numpy as np
import numpy.typing as npt

class ConeProgram:
    def __init__(
        self,
        lower: npt.NDArray[np.float64],
        upper: npt.NDArray[np.float64],
        cones: npt.NDArray[np.float64],
        linear: npt.NDArray[np.float64],
        constant: npt.NDArray[np.float64],
        radius: npt.NDArray[np.float64],
        least_depth: float,
    ) -> None: ...
    def maximize(
        self, cost: npt.NDArray[np.float64], stop: float = ...
    ) -> tuple[
        int,
        float,
        npt.NDArray[np.float64],
        npt.NDArray[np.int32],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
    ]: ...
    def bound(
        self,
        cost: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int32],
        directions: npt.NDArray[np.float64],
        multipliers: npt.NDArray[np.float64],
    ) -> float: ...
