from benchmark_utils.paths import run
from benchopt import BaseSolver
from scipy import sparse


class Solver(BaseSolver):
    name = "sklearn[lars]"
    sampling_strategy = "run_once"

    def skip(self, X, y, alphas):
        wide = sparse.issparse(X) or X.shape[1] > 5000
        return wide, "for dense designs of at most 5000 columns" if wide else None

    def set_objective(self, X, y, alphas):
        self.data = X, y, alphas

    def run(self, _):
        self.coefs = run("lars", *self.data, 1e-12)

    def get_result(self):
        return {"coefs": self.coefs}
