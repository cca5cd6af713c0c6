from benchmark_utils import coders
from benchmark_utils.solvers import Peer


class Solver(Peer):
    """One signal at a time: there is no other way."""

    name = "skglm"
    package = "skglm"
    penalties = ("l1", "lq", "mcp")
    code = staticmethod(coders.skglm)
