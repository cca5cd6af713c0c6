from benchmark_utils import coders
from benchmark_utils.solvers import Peer


class Solver(Peer):
    name = "scikit-learn lasso_cd"
    package = "sklearn"
    code = staticmethod(coders.lasso_cd)
