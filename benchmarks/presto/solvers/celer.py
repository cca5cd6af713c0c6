from benchmark_utils import paths
from benchmark_utils.solvers import Binary


class Solver(Binary):
    name = "celer"
    package = "celer"
    fit_intercept = False
    path = staticmethod(paths.celer)
