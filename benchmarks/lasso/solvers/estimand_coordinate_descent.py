from benchmark_utils.paths import run
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "estimand[coordinate_descent]"
    sampling_strategy = "tolerance"

    def set_objective(self, X, y, alphas):
        self.data = X, y, alphas

    def run(self, tolerance):
        self.coefs = run("estimand", *self.data, tolerance)

    def get_result(self):
        return {"coefs": self.coefs}
