from benchmark_utils import learners
from benchmark_utils.solvers import Learner


class Solver(Learner):
    name = "estimand"
    penalties = ("l1", "l0", "lq")
    learn = staticmethod(learners.estimand)
