from benchmark_utils import coders
from benchmark_utils.solvers import Peer


class Solver(Peer):
    name = "SPAMS"
    package = "spams"
    distribution = "spams-bin"
    requirements = ["pip::spams-bin"]
    sampling_strategy = "run_once"
    code = staticmethod(coders.spams)
