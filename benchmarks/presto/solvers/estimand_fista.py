from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[fista]"
    backends = {"presto": "fista"}
