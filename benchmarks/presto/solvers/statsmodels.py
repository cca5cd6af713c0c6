from benchmark_utils import paths
from benchmark_utils.solvers import Odds


class Solver(Odds):
    name = "statsmodels"
    package = "statsmodels"
    path = staticmethod(paths.statsmodels)
