import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from estimand.solvers import resolve_solver
from estimand.solvers.lasso import LassoProblem, choose
from estimand.solvers.lasso.homotopy import Homotopy

A = np.eye(8)
WIDE = np.broadcast_to(1.0, (600, 2000))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"A": A}, "homotopy"),
        ({"A": A.astype(np.float32), "weights": np.linspace(0, 1, 8), "fit_intercept": True}, "homotopy"),
        ({"A": A, "positive": True}, "coordinate_descent"),
        ({"A": A, "l2": 0.1}, "coordinate_descent"),
        ({"A": sparse.csc_array(A)}, "coordinate_descent"),
        ({"A": WIDE}, "coordinate_descent"),
        ({"A": aslinearoperator(A)}, "fista"),
    ],
)
def test_rule(fields, expected):
    problem = LassoProblem(y=np.ones(fields["A"].shape[0]), alpha=0.1, **fields)
    able = ["homotopy"] if problem.needs() <= Homotopy.supports else []
    name, reason = choose(problem, [*able, "coordinate_descent", "fista", "cvxpy"])
    assert name == expected
    assert reason
    # Whoever lacks the favourite gets the next one.
    assert choose(problem, ["cvxpy"])[0] == "cvxpy"


def test_no_backend_names_what_is_needed():
    problem = LassoProblem(A=A, y=np.ones(8), alpha=0.1, positive=True, l2=0.1)
    with pytest.raises(ValueError, match="it needs l2, positive"):
        choose(problem, [])


def test_reason_reaches_the_caller():
    solver, reason = resolve_solver("auto", LassoProblem(A=A, y=np.ones(8), alpha=0.1))
    assert solver.name == "homotopy"
    assert "exact path" in reason
