"""What the solvers of the benchmark share."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
from benchopt import BaseSolver
from scipy import sparse


class Coder(BaseSolver):
    """A function ``code(problem, tol) -> codes`` as a solver."""

    sampling_strategy = "tolerance"

    def objection(self, problem):
        """Return why it cannot solve the problem, or None."""
        return None

    def skip(self, problem):
        reason = self.objection(problem)
        return reason is not None, reason

    def set_objective(self, problem):
        self.problem = problem

    def get_next(self, tolerance):
        return min(tolerance, 1e-2) / 10  # what is larger leaves most packages at zero

    def warm_up(self):
        self.code(replace(self.problem, X=self.problem.X[:10]), 1e-4)  # imports and compilation do not count

    def run(self, tolerance):
        self.codes = self.code(self.problem, tolerance)

    def get_result(self):
        return {"codes": self.codes.toarray() if sparse.issparse(self.codes) else np.asarray(self.codes)}


class Peer(Coder):
    """Another package, which knows some of the penalties."""

    package = ""
    distribution = ""
    penalties = ("l1",)

    def objection(self, problem):
        if problem.penalty.name not in self.penalties:
            return f"it does not know {problem.penalty.name}, only {', '.join(self.penalties)}"
        return None if find_spec(self.package) else f"not installed: pip install {self.distribution or self.package}"
