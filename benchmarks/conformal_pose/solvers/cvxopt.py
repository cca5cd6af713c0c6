from importlib.util import find_spec

from benchmark_utils.solvers import Bounder

from estimand.solvers.pose_bound.moment2_cvxpy import Moment2CVXPY


class Solver(Bounder):
    """The relaxations of order 2, one with the radius that the other has proved, by CVXOPT."""

    name = "CVXOPT"
    requirements = ["pip::cvxopt"]
    parameters = {"tol": [0.02]}

    def skip(self, problems):
        return find_spec("cvxopt") is None, "cvxopt is not installed"

    def backend_for(self, problem):
        return Moment2CVXPY(conic_solver="CVXOPT")
