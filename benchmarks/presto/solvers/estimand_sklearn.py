from benchmark_utils.solvers import Backend


class Solver(Backend):
    name = "estimand[sklearn]"
    backends = {"presto": "sklearn"}
