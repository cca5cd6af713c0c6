"""What the solvers of the benchmark share."""

from dataclasses import replace

from benchopt import BaseSolver


class Bounder(BaseSolver):
    """A backend of the problem, which ``backend_for(problem)`` returns, on one instance after the other."""

    sampling_strategy = "run_once"

    def set_objective(self, problems):
        self.problems = problems

    def run(self, _):
        problems = map(replace, self.problems)  # copies, without what earlier runs have worked out
        self.solutions = [self.backend_for(problem).solve(problem, tol=self.tol) for problem in problems]

    def get_result(self):
        return {"poses": [each.x for each in self.solutions], "duals": [each.dual for each in self.solutions]}
