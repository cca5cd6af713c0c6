from benchmark_utils import paths
from benchmark_utils.solvers import Odds


class Solver(Odds):
    """Its loss is not the likelihood, so that its residual stays large."""

    name = "mord"
    package = "mord"
    sampling_strategy = "run_once"
    path = staticmethod(paths.mord)
