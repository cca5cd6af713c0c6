from benchmark_utils import learners
from benchmark_utils.solvers import Learner


class Solver(Learner):
    name = "scikit-learn"
    package = "sklearn"
    learn = staticmethod(learners.sklearn)
