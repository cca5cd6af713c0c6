from dataclasses import replace

from benchopt import BaseSolver

from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers import list_solvers, resolve_solver


class Solver(BaseSolver):
    """Every registered backend, one instance after the other; those that need a package are skipped without it."""

    name = "estimand"
    parameters = {"backend": [info.name for info in list_solvers("pose_bound")], "tol": [0.02]}
    sampling_strategy = "run_once"

    def skip(self, problems):
        try:
            for problem in problems:
                resolve_solver(self.backend, problem)
        except (ValueError, BackendUnavailableError, UnsupportedProblemError) as error:
            return True, str(error)
        return False, None

    def set_objective(self, problems):
        self.problems = problems

    def run(self, _):
        self.solutions = []
        for problem in map(replace, self.problems):  # copies, without what earlier runs have worked out
            backend, _ = resolve_solver(self.backend, problem)
            self.solutions.append(backend.solve(problem, tol=self.tol))

    def get_result(self):
        return {"poses": [each.x for each in self.solutions], "duals": [each.dual for each in self.solutions]}
