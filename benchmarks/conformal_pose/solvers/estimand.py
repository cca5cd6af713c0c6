from benchmark_utils.solvers import Bounder

from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers import list_solvers, resolve_solver


class Solver(Bounder):
    """Every registered backend, one instance after the other; those that need a package are skipped without it."""

    name = "estimand"
    parameters = {"backend": [info.name for info in list_solvers("pose_bound")], "tol": [0.02]}

    def skip(self, problems):
        try:
            for problem in problems:
                resolve_solver(self.backend, problem)
        except (ValueError, BackendUnavailableError, UnsupportedProblemError) as error:
            return True, str(error)
        return False, None

    def backend_for(self, problem):
        return resolve_solver(self.backend, problem)[0]
