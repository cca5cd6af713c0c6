"""What the solvers of the benchmark share."""

from importlib.util import find_spec

from benchopt import BaseSolver

from benchmark_utils import paths
from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers import resolve_solver


class PathSolver(BaseSolver):
    """A function ``path(problem, alphas, tol) -> points`` as a solver."""

    sampling_strategy = "tolerance"
    fit_intercept = True
    #: In place of the tolerances that benchopt tries.
    fixed_tol = None

    def objection(self, problem, alphas):
        """Return why it cannot solve the problem, or None."""
        return None

    def skip(self, problem, alphas):
        reason = self.objection(problem, alphas)
        return reason is not None, reason

    def set_objective(self, problem, alphas):
        self.problem, self.alphas = problem, alphas

    def get_next(self, tolerance):
        return min(tolerance, 1e-2) / 10  # what is larger leaves most packages at zero

    def warm_up(self):
        self.run_once(1e-4)  # imports and compilation do not count

    def run(self, tolerance):
        tol = tolerance if self.fixed_tol is None else self.fixed_tol
        self.points = self.path(self.problem, self.alphas, tol)

    def get_result(self):
        return {"points": self.points, "fit_intercept": self.fit_intercept}


class Backend(PathSolver):
    """One of estimand's backends, if it is registered for the problem."""

    #: Its names, by that of the problem.
    backends = {}

    def objection(self, problem, alphas):
        name = self.backends.get(problem.name)
        if name is None:
            return f"there is no such backend for {problem.name}"
        try:
            resolve_solver(name, problem.at(alphas[-1]))
        except (ValueError, BackendUnavailableError, UnsupportedProblemError) as error:
            return str(error)
        return None

    def path(self, problem, alphas, tol):
        return paths.estimand(self.backends[problem.name], problem, alphas, tol)


class Peer(PathSolver):
    """Another package, which solves one model."""

    package = ""

    def objection(self, problem, alphas):
        return None if find_spec(self.package) else f"{self.package} is not installed"


class Odds(Peer):
    """A package that fits proportional odds without a penalty."""

    def objection(self, problem, alphas):
        return super().objection(problem, alphas) if problem.name == "proportional_odds" else "for proportional odds"


class Binary(Peer):
    """A package that fits sparse logistic regressions."""

    def objection(self, problem, alphas):
        binary = problem.name == "presto" and problem.n_classes == 2
        return super().objection(problem, alphas) if binary else "for two classes"
