"""The relaxation of order 2: its value against other solvers, what it bounds, and how runs end."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from estimand.exceptions import InfeasibleProblemError
from estimand.solvers import get_solver
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.examples import random_instance
from estimand.solvers.pose_bound.moments import quotient
from estimand.solvers.pose_bound.moments.certificate import safe_bound
from estimand.solvers.pose_bound.moments.interior_point import interior_point
from estimand.solvers.pose_bound.moments.interpolation import NodalRelaxation, unit_nodes
from estimand.solvers.pose_bound.moments.local_frame import fit_frame, frame_at
from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation, moment_bounds
from estimand.solvers.pose_bound.rotations import exponential_map, rotation_angle

KINDS = ["rotation", "translation"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def relaxation(instance, kind, T=None):
    return MomentRelaxation(instance.cones, instance.R0, instance.t0, T or instance.radius(), kind)


def moment_bound(problem, **options):
    """Return the last bound of a run."""
    return list(moment_bounds(problem, **options))[-1]


def plain_inequalities(problem):
    """The matrices of the relaxation in the monomials of rotation and translation, sparse and one below another."""
    polynomials = problem.polynomials
    blocks = [quotient.quadratic_form_map(quotient.N_BASIS)]
    for q, scale in zip(polynomials.localizers[:, :, 0], polynomials.scales, strict=True):
        blocks.append(quotient.localizing_map(q / scale))
    return blocks, polynomials.objective[:, 0]


def solve_with_cvxopt(problem):
    """Return the optimal value, and what the multipliers prove."""
    cvxopt = pytest.importorskip("cvxopt")
    blocks, objective = plain_inequalities(problem)
    f = np.zeros(quotient.N_MOMENTS)
    f[: quotient.N_BASIS] = objective
    G, h = [], []
    for block in blocks:
        n = round(block.shape[0] ** 0.5)
        rest = sparse.coo_array(block[:, 1:])
        entries = (-rest.data).tolist(), rest.coords[0].tolist(), rest.coords[1].tolist()
        G.append(cvxopt.spmatrix(*entries, rest.shape))
        h.append(cvxopt.matrix(block[:, [0]].toarray().reshape(n, n)))
    cvxopt.solvers.options["show_progress"] = False
    solution = cvxopt.solvers.sdp(cvxopt.matrix(-f[1:]), Gs=G, hs=h, kktsolver="chol")
    first, *others = (np.array(z) for z in solution["zs"])
    others = [block / scale for block, scale in zip(others, problem.polynomials.scales, strict=True)]
    unit = problem.polynomials.unit
    blocks = np.concatenate([block.ravel() for block in (first, *others)])
    return unit * (f[0] - solution["primal objective"]), bound_of(problem, blocks)


def bound_of(problem, blocks):
    return safe_bound(problem.cones, problem.R0, problem.t0, problem.max_distance, problem.kind, blocks)


@pytest.mark.parametrize("kind", ["rotation", pytest.param("translation", marks=pytest.mark.slow)])
def test_against_cvxopt(make_instance, kind):
    problem = relaxation(make_instance(0, K=4), kind)
    value, safe = solve_with_cvxopt(problem)
    found = moment_bound(problem, tol=1e-4)
    assert found.value == pytest.approx(value, rel=1e-3)
    assert found.upper == pytest.approx(safe, rel=5e-3)
    assert found.upper == pytest.approx(value, rel=2e-3)


@each_kind
@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {}),
        (1, {}),
        (2, {"K": 4}),
        (3, {"radius": (20.0, 20.0)}),
        pytest.param(4, {"radius": (1.0, 1.0)}, marks=pytest.mark.slow),
        pytest.param(5, {"flat": True}, marks=pytest.mark.slow),
        (6, {"K": 20}),
    ],
)
def test_bounds_hold_and_are_those_of_the_relaxation(make_instance, seed, options, kind):
    instance = make_instance(seed, **options)
    problem = relaxation(instance, kind)
    found = moment_bound(problem)
    assert found.upper >= instance.best(kind)
    assert found.value >= instance.best(kind) * (1 - 1e-3)
    assert found.value <= found.upper <= found.value * (1 + 2e-3)
    assert found.upper == min(problem.trivial_bound, bound_of(problem, found.blocks))
    assert found.max_distance == instance.radius()


def test_the_radius_is_part_of_the_problem(make_instance):
    """Where it binds it is the bound, and larger ones make bounds larger."""
    instance = make_instance(1, K=5)
    T = 0.5 * np.sqrt(instance.best("translation"))
    binding = moment_bound(relaxation(instance, "translation", T))
    assert binding.upper <= T**2 * (1 + 1e-12)
    assert binding.upper >= T**2 * (1 - 1e-3)
    bounds = [moment_bound(relaxation(instance, "rotation", instance.radius(factor))) for factor in (1.2, 4.0)]
    assert bounds[0].value <= bounds[1].upper


def test_units_of_length(make_instance):
    """In millimetres distances are a thousand times as large."""
    metres, millimetres = (make_instance(2, K=5, unit=unit) for unit in (1.0, 1000.0))
    for kind, factor in (("rotation", 1.0), ("translation", 1e6)):
        bounds = [moment_bound(relaxation(instance, kind), tol=1e-4).upper for instance in (metres, millimetres)]
        assert bounds[1] == pytest.approx(factor * bounds[0], rel=1e-3)


@each_kind
def test_a_centre_far_from_the_set(make_instance, kind):
    instance = make_instance(0, K=6)
    R0, t0 = instance.R0 @ exponential_map([1.5, 0.5, -1.0]), instance.t0 + np.array([0.2, 0.1, -0.4])
    far = type(instance)(instance.cones, R0, t0, instance.R, instance.t)
    found = moment_bound(relaxation(far, kind, far.radius(1.2)))
    assert far.best(kind) <= found.upper <= 1.3 * far.best(kind)


def test_the_order_of_keypoints(make_instance):
    instance = make_instance(3, K=6)
    cones, order = instance.cones, [3, 1, 5, 0, 4, 2]
    mixed = KeypointCones(cones.points[order], cones.cones[order], cones.centers[order], cones.min_depth)
    arguments = instance.R0, instance.t0, instance.radius(), "rotation"
    bounds = [moment_bound(MomentRelaxation(c, *arguments), tol=1e-4) for c in (cones, mixed)]
    assert bounds[0].upper == pytest.approx(bounds[1].upper, rel=1e-3)


def test_runs_end(make_instance):
    problem = relaxation(make_instance(0, K=5), "rotation")
    bounds = list(moment_bounds(problem))
    assert (bounds[0].upper, bounds[0].value, bounds[0].blocks, bounds[0].pose) == (8.0, -np.inf, None, None)
    assert all(b.upper <= a.upper and b.value >= a.value for a, b in pairwise(bounds))
    full = bounds[-1]
    assert full.is_tight(1e-3)
    assert not any(found.is_tight(1e-3) for found in bounds[:-1])
    # A member that is nearly as far as the bound says, or a bound that is small enough, ends a run early.
    early = list(moment_bounds(problem, tol=1e-9, incumbent=full.upper * (1 + 1e-6)))
    assert len(early) <= len(bounds) + 1
    strict, loose = (list(moment_bounds(problem, tol=1e-9, loose_below=c * full.upper)) for c in (0.1, 1.5))
    assert not strict[-1].is_tight(1e-9)
    assert len(loose) < len(strict)
    assert full.upper <= loose[-1].upper * (1 + 1e-3)


def test_iterates(make_instance):
    instance = make_instance(0, K=5)
    problem = relaxation(instance, "translation")
    seen = []
    for iterate in problem.iterates():
        seen.append(iterate)
        if iterate.promising and iterate.bound <= iterate.value * (1 + 1e-5):
            break
    assert [iterate.n_iter for iterate in seen] == list(range(len(seen)))
    assert len(seen) < 20
    best = instance.best("translation")
    for iterate in seen:
        # Every iterate proves something, and nothing wrong.
        assert iterate.bound >= best
        assert iterate.bound == bound_of(problem, iterate.blocks)
    assert not seen[0].feasible
    assert seen[-1].feasible
    assert seen[-1].estimate == pytest.approx(seen[-1].value, rel=1e-4)
    # Where a single pose is the farthest, the moments of degree 1 are nearly that pose.
    R, t = seen[-1].pose()
    farthest = int(np.argmax(instance.objective("translation")))
    assert rotation_angle(R, instance.R[farthest]) < 10.0
    assert np.linalg.norm(t - instance.t[farthest]) < 0.3 * np.sqrt(best)


def test_empty_sets_end_without_a_bound(make_instance):
    instance = make_instance(0, K=6)
    cones = instance.cones.cones.copy()
    cones[0, :, 2] += 20.0  # The first ellipse, twenty radii away.
    empty = KeypointCones(instance.cones.points, cones, instance.cones.centers, instance.cones.min_depth)
    found = moment_bound(MomentRelaxation(empty, instance.R0, instance.t0, 0.5, "rotation"))
    assert (found.upper, found.blocks) == (8.0, None)
    problem = relaxation(instance, "rotation")
    problem.check_nonempty(0.0)
    with pytest.raises(InfeasibleProblemError, match="the set is empty"):
        problem.check_nonempty(-1e-6)


def test_interior_point_solves_the_pair(make_instance):
    """The last iterate obeys the equations of both problems, and their objectives agree."""
    instance = make_instance(0, K=5)
    T = instance.radius()
    problem = relaxation(instance, "rotation")
    nodal = NodalRelaxation(instance.cones, problem.polynomials, problem.t0, T, problem.frame)
    last = [iterate for iterate, _ in zip(interior_point(nodal), range(13), strict=False)][-1]
    assert last.w.sum() == pytest.approx(1.0, abs=1e-10)
    moment, localizing = nodal.matrices(last.w)
    assert np.linalg.eigvalsh(moment)[0] > -71 * last.primal_infeasibility
    assert last.primal_infeasibility < 1e-6
    assert np.linalg.eigvalsh(localizing).min() > -13 * last.primal_infeasibility
    assert np.linalg.eigvalsh(last.dual.moment)[0] > 0
    left = nodal.objective + nodal.values(*last.dual)
    np.testing.assert_allclose(left, last.bound, rtol=0, atol=1e-5)
    assert last.value == pytest.approx(last.bound, rel=1e-3)
    # The matrices are those of the moments of the weights, in another basis.
    y = last.w @ quotient.evaluate_moments(nodal.R, nodal.tau)
    assert y[0] == pytest.approx(1.0, abs=1e-10)
    assert np.linalg.eigvalsh((quotient.quadratic_form_map(71) @ y).reshape(71, 71))[0] > -1e-9
    objective = problem.polynomials.objective[:, 0] @ y[:71]
    assert objective == pytest.approx(nodal.unit * last.value, rel=1e-9)


def test_nodes_determine_polynomials(make_instance):
    xi, zeta = unit_nodes()
    assert xi.shape == zeta.shape == (742, 3)
    assert max(np.linalg.norm(xi, axis=1).max(), np.linalg.norm(zeta, axis=1).max()) <= 1 + 1e-12
    problem = relaxation(make_instance(0, K=5), "rotation")
    values = problem_basis(problem).values(xi, zeta, 4)
    assert np.linalg.cond(values / np.linalg.norm(values, axis=0)) < 1e5


def problem_basis(problem):
    arguments = problem.cones, problem.polynomials, problem.t0, problem.max_distance, problem.frame
    return NodalRelaxation(*arguments).local


def test_local_basis(make_instance):
    """Blocks in scaled quaternions and in monomials have the same forms, and a remainder is absorbed."""
    problem = relaxation(make_instance(0, K=5), "rotation")
    basis, rng = problem_basis(problem), np.random.default_rng(0)
    xi, zeta = rng.uniform(-1, 1, (2, 20, 3))
    R, t = problem.frame.poses(xi, zeta)
    tau = (t - problem.t0) / problem.max_distance
    y = quotient.evaluate_moments(problem.polynomials.rotation.T @ R, tau)
    for degree, size in ((1, 13), (2, 71)):
        block = rng.standard_normal((size, size))
        block += block.T
        local, mapped = basis.values(xi, zeta, degree), basis.to_monomials(block, degree)
        forms = [np.einsum("ni,ij,nj->n", v, X, v) for v, X in ((local, block), (y[:, :size], mapped))]
        np.testing.assert_allclose(forms[0], forms[1], rtol=0, atol=1e-9 * np.abs(mapped).max())
        polynomial = rng.standard_normal((71, 742)[degree - 1])
        absorbed = basis.absorb(polynomial, degree)
        form = np.einsum("ni,ij,nj->n", y[:, :size], absorbed, y[:, :size])
        np.testing.assert_allclose(form, -(y[:, : len(polynomial)] @ polynomial), rtol=0, atol=1e-8)
        values = basis.values(xi, zeta, 2 * degree) @ basis.coefficients(polynomial, 2 * degree)
        np.testing.assert_allclose(values, y[:, : len(polynomial)] @ polynomial, rtol=0, atol=1e-8)


def test_local_frames(make_instance):
    instance = make_instance(1)
    frame = fit_frame(instance.cones, instance.R0, instance.t0, 1.0)
    xi, zeta = np.random.default_rng(0).uniform(-1, 1, (2, 50, 3))
    R, t = frame.poses(xi, zeta)
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    back = frame.coordinates(R, t)
    np.testing.assert_allclose(back[0], xi, atol=1e-9)
    np.testing.assert_allclose(back[1], zeta, atol=1e-9)
    inside = frame.coordinates(instance.R, instance.t)
    for x in inside:
        assert 0.2 < np.linalg.norm(x, axis=1).max() < 1.3
    # Larger ellipses make it larger, and a small radius cuts off what is far.
    loose = KeypointCones(instance.cones.points, 0.5 * instance.cones.cones, instance.cones.centers, 1e-3)
    frames = [frame_at(cones, instance.R0, instance.t0, 10.0) for cones in (instance.cones, loose)]
    assert np.all(frames[1].turns > 1.5 * frames[0].turns)
    assert frame_at(instance.cones, instance.R0, instance.t0, 1e-3).shifts.max() <= 1e-3
    assert np.linalg.norm(frame.center - instance.t0) < 0.1


@pytest.mark.parametrize("factor", [1.0 + 4e-7, 1.0 - 4e-7])
def test_a_centre_that_is_a_rotation_to_single_precision(factor):
    """What is bounded is ``||R - R0||_F^2``, whether or not R0 is orthonormal to the last digit."""
    problem = random_instance(2, "rotation", radius=(0.3, 0.6), centre=0.1)
    relaxation = MomentRelaxation(problem.cones, factor * problem.R0, problem.t0, 0.0113, "rotation")
    exact = MomentRelaxation(problem.cones, problem.R0, problem.t0, 0.0113, "rotation")
    (*_, found), (*_, expected) = (moment_bounds(one, tol=1e-3) for one in (relaxation, exact))
    best = get_solver("local", problem).solve(problem, tol=1e-3).x
    largest = np.sum((best.rotation - factor * problem.R0) ** 2)
    assert largest <= found.upper
    half_turn = problem.R0 @ np.diag([1.0, -1.0, -1.0])
    assert np.sum((half_turn - factor * problem.R0) ** 2) <= relaxation.trivial_bound + 1e-14
    assert found.value == pytest.approx(expected.value, rel=1e-4)
