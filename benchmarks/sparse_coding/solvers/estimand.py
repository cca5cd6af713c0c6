from benchmark_utils import coders
from benchmark_utils.solvers import Coder

from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers import resolve_solver


class Solver(Coder):
    """The backends that can solve the problem."""

    name = "estimand"
    parameters = {"backend": ["homotopy", "working_set_cd", "graduated", "cyclic_cd", "ista", "fista"]}

    def objection(self, problem):
        try:
            resolve_solver(self.backend, problem)
        except (ValueError, BackendUnavailableError, UnsupportedProblemError) as error:
            return str(error)
        return None

    def code(self, problem, tol):
        return coders.estimand(self.backend, problem, tol)
