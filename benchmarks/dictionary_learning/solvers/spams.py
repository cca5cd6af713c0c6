from benchmark_utils import learners
from benchmark_utils.solvers import Learner


class Solver(Learner):
    name = "SPAMS"
    package = "spams"
    distribution = "spams-bin"
    requirements = ["pip::spams-bin"]
    learn = staticmethod(learners.spams)
