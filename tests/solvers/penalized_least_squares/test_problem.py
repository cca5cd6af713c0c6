"""The problem: objective, proximal map, certificate, derived columns, bad input."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from estimand.penalties import CEL0, L0, L1, L1L2, MCP, Penalty
from estimand.solvers import Certificate
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem
from estimand.solvers.penalized_least_squares.columns import Columns
from estimand.solvers.penalized_least_squares.coordinate_descent import CoordinateDescent
from estimand.solvers.penalized_least_squares.examples import examples, penalties, random_instance

INSTANCES = {name: problem for name, problem in examples() if problem.A.shape == (30, 50)}


@pytest.mark.parametrize("name", INSTANCES)
def test_the_objective_written_out(name):
    problem = INSTANCES[name]
    rng = np.random.default_rng(0)
    x = problem.repair(np.where(rng.random(50) < 0.4, rng.standard_normal(50), 0.0))
    q = np.ones(30) if problem.sample_weight is None else problem.sample_weight
    residual = problem.y - problem.A @ x
    intercept = q @ residual / q.sum() if problem.fit_intercept else 0.0
    assert problem.intercept(x) == pytest.approx(intercept)
    finite = np.isfinite(problem.omega)
    values = problem.penalty.value_elementwise(x)
    expected = q @ (residual - intercept) ** 2 / (2 * q.sum()) + problem.omega[finite] @ values[finite]
    assert problem.objective(x) == pytest.approx(expected, rel=1e-12)


def coordinate_decrease(problem, x, j, best_of=4001):
    """By how much the objective can fall along coordinate j, by a grid; the loss is a parabola there."""
    if problem.excluded[j]:
        return 0.0
    reach = 3 * (np.abs(x[j]) + problem.response_scale / np.sqrt(max(problem.columns.curvature[j], 1e-12)))
    low = 0.0 if problem.positive and problem.penalised[j] else -reach
    grid = np.concatenate([[0.0], np.linspace(low, reach, best_of)])
    g, nu = problem.gradient(x)[j], problem.columns.curvature[j]
    weight = problem.omega[j]
    values = g * (grid - x[j]) + 0.5 * nu * (grid - x[j]) ** 2
    if weight:
        values += weight * (problem.penalty.value_elementwise(grid) - problem.penalty.value_elementwise(x[j]))
    return max(0.0, -float(values.min()))


@pytest.mark.parametrize("name", [name for name, problem in INSTANCES.items() if not problem.has_gap])
def test_the_residual_vanishes_exactly_where_no_coordinate_can_improve(name):
    problem = INSTANCES[name]
    solution = CoordinateDescent().solve(problem, tol=1e-10)
    decreases = [coordinate_decrease(problem, solution.x, j) for j in range(50)]
    assert max(decreases) <= 1e-12 * problem.scale**2
    rng = np.random.default_rng(1)
    for size in (1e-4, 1e-2, 1.0):
        x = problem.repair(solution.x + size * rng.standard_normal(50) * (rng.random(50) < 0.3))
        certificate = problem.certify(x, tol=1e-6)
        decreases = np.array([coordinate_decrease(problem, x, j) for j in range(50)])
        violations = certificate.byproducts["violations"]
        # min(first, second)^2 / 2 is never more than the decrease, and 0 only with it.
        assert np.all(violations**2 / 2 <= decreases * 1.05 + 1e-5 * problem.scale**2)
        assert not certificate.converged
        assert np.all(decreases[violations == 0] <= 1e-12 * problem.scale**2)


def test_ties_are_not_violations():
    """Integer data on an orthonormal design, where hard thresholding ties and rounding would decide."""
    rng = np.random.default_rng(2)
    Q = np.linalg.qr(rng.standard_normal((20, 20)))[0] * np.sqrt(20)
    codes = rng.integers(-2, 3, 20).astype(float)
    problem = PenalizedLeastSquaresProblem(A=Q, y=Q @ codes, penalty=L0(0.5))
    for drop_ties in (False, True):
        x = np.where(np.abs(codes) > (1 if drop_ties else 0), codes, 0.0)
        certificate = problem.certify(x, tol=1e-9)
        assert certificate.converged
        assert certificate.kind == "fixed_point"
    wrong = codes.copy()
    wrong[np.abs(codes) == 2] = 0.0
    # Each missing coefficient would lower the loss by 2 and cost 1/2.
    assert problem.certify(wrong, tol=1e-9).value == pytest.approx(np.sqrt(2 * 1.5))


def test_columns_without_information():
    A = np.asfortranarray(np.array([[0.0, 3.0, 1.0], [0.0, 3.0, 2.0], [0.0, 3.0, 4.0]]))
    problem = PenalizedLeastSquaresProblem(A=A, y=np.array([1.0, 2.0, 3.0]), penalty=MCP(0.1), fit_intercept=True)
    assert np.array_equal(problem.columns.curvature > 0, [False, False, True])
    base = CoordinateDescent().solve(problem, tol=1e-10).x
    for j in (0, 1):
        x = base.copy()
        x[j] = 0.5  # pays the penalty for nothing
        value = problem.certify(x, tol=1e-6).value
        assert value == pytest.approx(np.sqrt(2 * problem.penalty.value(np.array([0.5]))))
        assert problem.repair(x)[j] == 0


@pytest.mark.parametrize("strength", [L1(0.1), L1L2(0.1, 0.3), L1L2(0.1, 0.0)])
def test_convex_certificates_are_duality_gaps(strength):
    rng = np.random.default_rng(3)
    fields = {"fit_intercept": True, "weights": np.r_[0.0, np.inf, np.ones(48)], "sample_weight": rng.uniform(0, 2, 30)}
    problem = random_instance(0, strength, **fields)
    _, l1, l2, _ = strength.kernel_arguments()
    lasso = LassoProblem(A=problem.A, y=problem.y, alpha=l1, l2=l2, **fields)
    x = problem.repair(rng.standard_normal(50))
    mine, other = problem.certify(x, tol=1e-6), lasso.certify(x, tol=1e-6)
    assert (mine.kind, mine.value, mine.scale, mine.lower) == ("gap", other.value, other.scale, other.lower)
    assert problem.objective(x) == pytest.approx(lasso.objective(x), rel=1e-14)


def test_the_gap_of_a_weighted_elastic_net_holds():
    rng = np.random.default_rng(4)
    for form in ("dense", "csc"):
        weights = np.r_[0.0, np.inf, rng.uniform(0.2, 3.0, 48)]
        problem = random_instance(0, L1L2(0.1, 0.5), kind=form, weights=weights, fit_intercept=True)
        solution = CoordinateDescent().solve(problem, tol=1e-10)
        assert solution.certificate.kind == "gap"
        assert solution.converged
        x = problem.repair(solution.x + 0.1 * rng.standard_normal(50))
        certificate = problem.certify(x, tol=1e-6)
        assert certificate.lower <= solution.objective <= certificate.upper
        assert certificate.upper == pytest.approx(problem.objective(x), rel=1e-12)


def test_zero_strength_has_no_dual_point_to_prove_with():
    problem = random_instance(0, L1(0.0), n=60, p=5, positive=True, fit_intercept=True)
    assert not problem.has_gap
    from scipy.optimize import nnls

    centred, response = problem.A - problem.A.mean(axis=0), problem.y - problem.y.mean()
    solution = CoordinateDescent().solve(problem, tol=1e-10)
    np.testing.assert_allclose(solution.x, nnls(centred, response)[0], atol=1e-8)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_dense_and_sparse(fit_intercept, weighted):
    rng = np.random.default_rng(5)
    A = rng.standard_normal((9, 7)) * (rng.random((9, 7)) < 0.5)
    A[:, 0], A[:, 1] = 0.1, 0.0
    q = rng.uniform(0, 2, 9) if weighted else None
    share = np.full(9, 1 / 9) if q is None else q / q.sum()
    means = share @ A if fit_intercept else np.zeros(7)
    curvature = share @ (A - means) ** 2
    curvature[1] = 0.0
    if fit_intercept:
        curvature[0] = 0.0
    for design in (A, np.asfortranarray(A), sparse.csc_array(A), sparse.csr_matrix(A)):
        columns = Columns(design, q, fit_intercept)
        np.testing.assert_allclose(columns.means, means, atol=1e-15)
        np.testing.assert_allclose(columns.curvature, curvature, atol=1e-15)
        assert np.array_equal(columns.curvature == 0, curvature == 0)


def test_proximal_map_of_the_whole_penalty():
    weights = np.array([0.0, 1.0, 2.0, np.inf])
    problem = PenalizedLeastSquaresProblem(A=np.eye(4), y=np.ones(4), penalty=L1(1.0), weights=weights, positive=True)
    x = np.array([-3.0, -3.0, 3.0, 3.0])
    assert np.array_equal(problem.prox(x, 0.5), [-3.0, 0.0, 2.0, 0.0])
    assert np.array_equal(problem.prox(x, np.array([1.0, 1.0, 0.25, 1.0])), [-3.0, 0.0, 2.5, 0.0])


def test_infeasible_points_are_worth_infinity_and_are_repaired():
    problem = random_instance(0, MCP(0.1), positive=True, weights=np.r_[np.inf, np.ones(49)])
    x = np.r_[1.0, -1.0, 2.0, np.zeros(47)]
    assert problem.objective(x) == np.inf
    assert problem.certify(x, tol=1e-6).value == np.inf
    assert np.array_equal(problem.repair(x), np.r_[0.0, 0.0, 2.0, np.zeros(47)])
    assert not problem.repair(np.full(50, np.nan)).any()


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_relative_certificate_is_free_of_scales(factor):
    base = random_instance(0, L0(0.05), fit_intercept=True)
    scaled = replace(base, y=base.y * factor, penalty=L0(0.05 * factor**2), frame=None)
    x = CoordinateDescent(max_iter=2).solve(base, tol=0.0).x
    x[:3] += 0.1
    first, second = base.certify(x, tol=1e-6), scaled.certify(x * factor, tol=1e-6)
    assert isinstance(first, Certificate)
    assert second.relative == pytest.approx(first.relative, rel=1e-9)


def test_replace_keeps_the_frame():
    problem = random_instance(0, MCP(0.1), fit_intercept=True)
    assert replace(problem, penalty=CEL0(0.1)).frame is problem.frame


def test_needs():
    problem = random_instance(
        0, MCP(0.1), kind="csc", positive=True, fit_intercept=True, weights=np.r_[0.0, np.full(49, 2.0)]
    )
    assert problem.needs() == {"nonconvex", "sparse", "positive", "intercept", "weights", "free"}
    assert random_instance(0, L1(0.1), kind="float32").needs() == {"float32"}
    assert random_instance(0, L1L2(0.1)).needs() == frozenset()
    assert [type(p).__name__ for p in penalties(0.1)][:2] == ["L1", "L1L2"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.ones(3)}, ValueError, "y has shape"),
        ({"weights": np.ones(3)}, ValueError, "weights has shape"),
        ({"weights": np.r_[-1.0, np.ones(49)]}, ValueError, "weights must be at least 0"),
        ({"sample_weight": np.zeros(30)}, ValueError, "sums to 0"),
        ({"penalty": "mcp"}, TypeError, "penalty='mcp' must be an instance"),
        ({"penalty": MCP}, TypeError, "must be an instance"),
        ({"penalty": MCP(-1.0)}, ValueError, "alpha=-1.0"),
        ({"A": sparse.linalg.aslinearoperator(np.ones((30, 50)))}, TypeError, "must be an array or a sparse matrix"),
    ],
)
def test_bad_input(change, error, message):
    problem = random_instance(0, MCP(0.1))
    with pytest.raises(error, match=message):
        replace(problem, **change).needs()


def test_an_own_penalty_is_no_compiled_one():
    class Ridge(Penalty):
        is_convex = True

        def value_elementwise(self, w):
            return w**2 / 2

        def prox(self, x, step, positive=False):
            return (np.maximum(x, 0) if positive else x) / (1 + step)

    assert random_instance(0, Ridge()).needs() == {"own_penalty"}
