import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.fista import FISTA


def data(n=40, p=30, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, p))
    return A, A[:, :3] @ np.array([1.0, -2.0, 0.5]) + 0.2 * rng.normal(size=n)


def test_operator_is_only_multiplied_with():
    A, y = data()
    products = []
    operator = LinearOperator(
        A.shape, matvec=lambda v: products.append("A") or A @ v, rmatvec=lambda r: products.append("T") or A.T @ r,
        dtype=np.float64,
    )  # fmt: skip
    solution = FISTA().solve(LassoProblem(A=operator, y=y, alpha=0.1), tol=1e-8)
    assert solution.converged
    dense = FISTA().solve(LassoProblem(A=A, y=y, alpha=0.1), tol=1e-10)
    np.testing.assert_allclose(solution.x, dense.x, atol=1e-4)
    # One product of each kind an iteration, beside the power iteration and the certificates.
    assert products.count("A") <= 1.3 * solution.n_iter + 40


def test_backtracking_repairs_a_step_that_is_too_long():
    # The power iteration starts orthogonal to the one direction of large curvature.
    start = np.cos(np.arange(2))
    u = np.array([-start[1], start[0]])
    u /= np.linalg.norm(u)
    A = np.vstack([100 * u, start])
    operator = LinearOperator((2, 2), matvec=lambda v: A @ v, rmatvec=lambda r: A.T @ r, dtype=np.float64)
    solution = FISTA().solve(LassoProblem(A=operator, y=np.ones(2), alpha=0.01), tol=1e-8)
    assert solution.converged


@pytest.mark.parametrize("seed", range(3))
def test_columns_may_differ_by_sixteen_decades(seed):
    A, y = data(seed=seed)
    factors = 10.0 ** np.linspace(-8, 8, 30)
    plain = FISTA().solve(LassoProblem(A=A, y=y, alpha=0.1), tol=1e-10)
    scaled = FISTA().solve(LassoProblem(A=A * factors, y=y, alpha=0.1, weights=factors), tol=1e-10)
    assert scaled.converged
    np.testing.assert_allclose(scaled.x * factors, plain.x, atol=1e-4)


def test_iterations_are_counted_one_by_one():
    A, y = data()
    problem = LassoProblem(A=A, y=y, alpha=0.01)
    assert FISTA(max_iter=13).solve(problem, tol=1e-14).n_iter == 13
    often, rarely = FISTA(check_every=1).solve(problem, tol=1e-8), FISTA(check_every=50).solve(problem, tol=1e-8)
    assert often.n_iter <= rarely.n_iter <= often.n_iter + 50
    assert len(often.history) == often.n_iter + 1


def test_check_every_is_at_least_one():
    A, y = data()
    with pytest.raises(ValueError, match="check_every=0 must be at least 1"):
        FISTA(check_every=0).solve(LassoProblem(A=A, y=y, alpha=0.1), tol=1e-6)
