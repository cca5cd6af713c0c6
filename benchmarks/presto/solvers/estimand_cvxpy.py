from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[cvxpy]"
    sampling_strategy = "run_once"
    backends = {"presto": "cvxpy", "proportional_odds": "cvxpy"}
    fixed_tol = 1e-8

    def objection(self, problem, alphas):
        if len(alphas) > 1:
            return "for a single penalty: it starts anew at each"
        if problem.X.shape[1] > 500:
            return "for at most 500 columns"
        return super().objection(problem, alphas)
