from benchmark_utils import coders
from benchmark_utils.solvers import Peer


class Solver(Peer):
    name = "scikit-learn lasso_lars"
    package = "sklearn"
    sampling_strategy = "run_once"
    code = staticmethod(coders.lasso_lars)
