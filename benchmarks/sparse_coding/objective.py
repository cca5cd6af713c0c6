"""Sparse codes of many signals in one dictionary: a solver returns one code a signal.

What counts is the mean objective, for penalties that are not convex the only figure in which local minima differ. The
certificate is that of the worst signal: a relative duality gap for l1, otherwise what single coordinates still gain.
"""

import numpy as np
from benchmark_utils.coders import PENALTIES, make_problem
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "Sparse coding"
    min_benchopt_version = "1.6"
    parameters = {"penalty": list(PENALTIES)}

    def set_data(self, X, D):
        self.problem = make_problem(self.penalty, X, D)

    def evaluate_result(self, codes):
        certificate = self.problem.certify(codes, tol=1.0)
        n = codes.shape[0]
        return {
            "value": certificate.upper / n,
            "certificate": certificate.relative,
            "n_active": np.count_nonzero(codes) / n,
        }

    def get_one_result(self):
        return {"codes": self.problem.initial_point()}

    def get_objective(self):
        return {"problem": self.problem}
