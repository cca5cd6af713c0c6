from benchmark_utils import coders
from benchmark_utils.solvers import Peer


class Solver(Peer):
    name = "SPORCO"
    package = "sporco"
    requirements = ["pip::sporco"]
    code = staticmethod(coders.sporco)
