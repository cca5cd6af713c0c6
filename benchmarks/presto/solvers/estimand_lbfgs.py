from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[lbfgs]"
    backends = {"proportional_odds": "lbfgs"}
