from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[sklearn]"
    backends = {"presto": "sklearn"}

    def objection(self, problem, alphas):
        if problem.X.shape[1] > 500:
            return "for at most 500 columns"
        return super().objection(problem, alphas)
