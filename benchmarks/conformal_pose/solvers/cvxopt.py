from dataclasses import replace
from importlib.util import find_spec

from benchopt import BaseSolver

from estimand.solvers.pose_bound.moment2_cvxpy import Moment2CVXPY


class Solver(BaseSolver):
    """The relaxations of order 2, one with the radius that the other has proved, by CVXOPT."""

    name = "CVXOPT"
    requirements = ["pip::cvxopt"]
    parameters = {"tol": [0.02]}
    sampling_strategy = "run_once"

    def skip(self, problems):
        return find_spec("cvxopt") is None, "cvxopt is not installed"

    def set_objective(self, problems):
        self.problems = problems

    def run(self, _):
        backend = Moment2CVXPY(conic_solver="CVXOPT")
        self.solutions = [backend.solve(replace(problem), tol=self.tol) for problem in self.problems]

    def get_result(self):
        return {"poses": [each.x for each in self.solutions], "duals": [each.dual for each in self.solutions]}
