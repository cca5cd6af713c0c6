from benchmark_utils import paths
from benchmark_utils.solvers import Binary


class Solver(Binary):
    name = "skglm"
    package = "skglm"
    path = staticmethod(paths.skglm)
