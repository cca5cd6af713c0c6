import numpy as np
import numpy.typing as npt

BIRTH: np.dtype[np.void]
STEP: np.dtype[np.void]
CUT: np.dtype[np.void]

class PoseTree:
    closed_upper: float
    n_nodes: int
    n_programs: int
    def __init__(
        self,
        kind: int,
        points: npt.NDArray[np.float64],
        pivot: npt.NDArray[np.float64],
        cones: npt.NDArray[np.float64],
        R0: npt.NDArray[np.float64],
        origin: npt.NDArray[np.float64],
        frame: npt.NDArray[np.float64],
        lower: npt.NDArray[np.float64],
        upper: npt.NDArray[np.float64],
        least_depth: float,
        keep_proof: bool,
    ) -> None: ...
    def run(self, target: float, max_nodes: int) -> int: ...
    @property
    def open_upper(self) -> float: ...
    @property
    def n_open(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    def top(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def proof(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void], npt.NDArray[np.void]]: ...
