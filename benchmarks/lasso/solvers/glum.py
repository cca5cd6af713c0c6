from benchmark_utils.paths import run
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "glum"
    sampling_strategy = "tolerance"

    def skip(self, X, y, alphas):
        wide = X.shape[1] > 5000
        return wide, "it forms the Hessian of all columns: for at most 5000" if wide else None

    def set_objective(self, X, y, alphas):
        self.data = X, y, alphas

    def run(self, tolerance):
        self.coefs = run("glum", *self.data, tolerance)

    def get_result(self):
        return {"coefs": self.coefs}
