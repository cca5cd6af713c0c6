from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[newton]"
    backends = {"presto": "newton_cd", "proportional_odds": "newton"}
