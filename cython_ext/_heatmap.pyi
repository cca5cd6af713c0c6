import numpy as np
import numpy.typing as npt

def clean(
    heatmaps: npt.NDArray[np.float64],
    summary: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None: ...
def moments(
    heatmaps: npt.NDArray[np.float64],
    topk: int,
    summary: npt.NDArray[np.float64],
    peak: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    covariance: npt.NDArray[np.float64],
) -> None: ...
