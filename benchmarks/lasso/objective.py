"""The Lasso along a grid of penalties: a solver returns one column of coefficients a penalty, the worst gap counts."""

import numpy as np
from benchopt import BaseObjective

from estimand.solvers.lasso import LassoProblem


class Objective(BaseObjective):
    name = "Lasso"
    min_benchopt_version = "1.6"
    # 100 penalties down to alpha_max / 100; two cold ones; one.
    parameters = {"grid": ["path", "two", "single"]}

    def set_data(self, X, y):
        self.X, self.y = X, y
        self.problem = LassoProblem(A=X, y=y, alpha=1.0)
        top = self.problem.alpha_max()
        grids = {
            "path": np.geomspace(top, top / 100, 100),
            "two": top / np.array([20.0, 100.0]),
            "single": np.array([top / 20]),
        }
        self.alphas = grids[self.grid]

    def evaluate_result(self, coefs):
        certificates = [
            self.problem.at(alpha).certify(column, tol=1.0) for alpha, column in zip(self.alphas, coefs.T, strict=True)
        ]
        return {
            "value": max(certificate.relative for certificate in certificates),
            "objective": sum(certificate.upper for certificate in certificates),
        }

    def get_one_result(self):
        return {"coefs": np.zeros((self.X.shape[1], self.alphas.size))}

    def get_objective(self):
        return {"X": self.X, "y": self.y, "alphas": self.alphas}
