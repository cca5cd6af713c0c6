import numpy as np
import numpy.typing as npt

def contains(
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    min_depth: float,
    tol: float,
    members: npt.NDArray[np.uint8],
) -> None: ...
def margins(
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    depths: npt.NDArray[np.float64],
    reaches: npt.NDArray[np.float64],
) -> None: ...
def violations(
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    min_depth: float,
    values: npt.NDArray[np.float64],
) -> None: ...
def ransag(
    triples: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.float64],
    centers: npt.NDArray[np.float64],
    spreads: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    min_depth: float,
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
) -> int: ...
def hit_and_run(
    directions: npt.NDArray[np.float64],
    uniform: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    cones: npt.NDArray[np.float64],
    min_depth: float,
    first: float,
    tracks: npt.NDArray[np.float64],
    state_rotations: npt.NDArray[np.float64],
    state_translations: npt.NDArray[np.float64],
    rotations: npt.NDArray[np.float64],
    translations: npt.NDArray[np.float64],
    end_rotations: npt.NDArray[np.float64],
    end_translations: npt.NDArray[np.float64],
    found: npt.NDArray[np.uint8],
) -> None: ...
