"""What the solvers of the benchmark share."""

from importlib.util import find_spec

from benchopt import BaseSolver

from benchmark_utils.learners import BATCH, batches_per_pass


class Learner(BaseSolver):
    """A function ``learn(X, D, penalty, n_batches) -> dictionary`` as a solver, which starts anew at every point."""

    sampling_strategy = "iteration"
    package = "estimand"
    distribution = ""
    penalties = ("l1",)

    def skip(self, X, D, penalty):
        if penalty.name not in self.penalties:
            return True, f"it does not know {penalty.name}, only {', '.join(self.penalties)}"
        if not find_spec(self.package):
            return True, f"not installed: pip install {self.distribution or self.package}"
        return False, None

    def set_objective(self, X, D, penalty):
        self.data, self.D = (X, D, penalty), D

    def get_next(self, n_batches):
        return max(batches_per_pass(self.data[0]) // 4, 2 * n_batches)

    def warm_up(self):
        X, D, penalty = self.data
        self.learn(X[:BATCH], D, penalty, 1)  # imports do not count

    def run(self, n_batches):
        self.D = self.learn(*self.data, n_batches) if n_batches else self.data[1]

    def get_result(self):
        return {"D": self.D}
