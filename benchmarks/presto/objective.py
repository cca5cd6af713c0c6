"""PRESTO and its two limits on standardised features: a solver returns one point a penalty, the worst residual counts.

The last class is the rare one; ``"binary"`` is PRESTO with two classes, the first one against the others.
"""

from benchmark_utils.designs import standardised
from benchmark_utils.paths import grid, make_problem, worst
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "PRESTO"
    min_benchopt_version = "1.6"
    # 20 penalties down to a hundredth of the largest, or a tenth of it alone. Proportional odds has no penalty.
    parameters = {"model": ["presto", "binary", "proportional_odds"], "grid": ["path", "single"]}

    def skip(self, X, y):
        if self.model != "proportional_odds":
            return False, None
        if self.grid == "path":
            return True, "proportional odds has no penalty here: grid=single"
        wide = X.shape[1] >= X.shape[0]
        return wide, "without a penalty more columns than rows separate the classes" if wide else None

    def set_data(self, X, y):
        self.problem = make_problem(self.model, standardised(X), y)
        if self.model == "proportional_odds":
            self.alphas = [0.0]
        else:
            alphas = grid(self.problem)
            self.alphas = alphas if self.grid == "path" else alphas[:1] / 10

    def evaluate_result(self, points, fit_intercept):
        residual, objective = worst(self.problem, self.alphas, points, fit_intercept)
        return {"value": residual, "objective": objective}

    def get_one_result(self):
        return {"points": [self.problem.initial_point() for _ in self.alphas], "fit_intercept": True}

    def get_objective(self):
        return {"problem": self.problem, "alphas": self.alphas}
