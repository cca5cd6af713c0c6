"""Dictionary learning: the mean objective of held-out signals, coded in the dictionary at full accuracy.

Atoms are given the length 1 first. For penalties that are not convex the codes are local minima, all found in the same
way; only l1 is known to other packages.
"""

import numpy as np
from benchmark_utils.learners import PENALTIES, make_penalty
from benchopt import BaseObjective
from benchopt.stopping_criterion import SufficientProgressCriterion

from estimand.solvers import resolve_solver
from estimand.solvers.sparse_coding import SparseCodingProblem


class Objective(BaseObjective):
    name = "Dictionary learning"
    min_benchopt_version = "1.6"
    parameters = {"penalty": list(PENALTIES)}
    sampling_strategy = "iteration"
    # Twice in a row twice as many batches gained less than this share of the largest gain.
    stopping_criterion = SufficientProgressCriterion(eps=0.005, patience=2)

    def set_data(self, X, X_held, D):
        self.X, self.X_held, self.D = X, X_held, D
        self.strength = make_penalty(self.penalty, X)

    def evaluate_result(self, D):
        length = np.linalg.norm(D, axis=1, keepdims=True)
        used = length[:, 0] > 0
        problem = SparseCodingProblem(X=self.X_held, D=D[used] / length[used], penalty=self.strength)
        solver, _ = resolve_solver("auto", problem, options={"n_jobs": 1})
        solution = solver.solve(problem, tol=1e-8)
        n = len(self.X_held)
        return {
            "value": solution.objective / n,
            "certificate": solution.certificate.relative,
            "n_active": np.count_nonzero(solution.x) / n,
        }

    def get_one_result(self):
        return {"D": self.D}

    def get_objective(self):
        return {"X": self.X, "D": self.D, "penalty": self.strength}
