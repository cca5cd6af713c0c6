"""Bounds that hold for any blocks, however bad these are."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.moments import certificate
from estimand.solvers.pose_bound.moments.certificate import pack_blocks, residual, safe_bound, unpack_blocks
from estimand.solvers.pose_bound.moments.pose_polynomials import pose_polynomials
from estimand.solvers.pose_bound.moments.quotient import evaluate_moments
from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation, moment_bounds

KINDS = ["rotation", "translation"]


def n_entries(K):
    return 71**2 + (2 * K + 1) * 13**2


def semidefinite(rng, K):
    roots = rng.standard_normal((71, 80)), rng.standard_normal((2 * K + 1, 13, 15))
    return pack_blocks(roots[0] @ roots[0].T, roots[1] @ np.swapaxes(roots[1], 1, 2))


@pytest.fixture(scope="module")
def solved(make_instance):
    """An instance with the bounds and blocks of its relaxations."""
    instance = make_instance(0, K=5)
    T = instance.radius()
    return (
        instance,
        T,
        {
            kind: list(moment_bounds(MomentRelaxation(instance.cones, instance.R0, instance.t0, T, kind)))[-1]
            for kind in KINDS
        },
    )


def bound(instance, T, kind, blocks):
    return safe_bound(instance.cones, instance.R0, instance.t0, T, kind, blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_residual(make_instance, kind):
    """The remainder is the objective plus sums of squares, at any pose."""
    instance, rng = make_instance(3, K=4), np.random.default_rng(0)
    polynomials = pose_polynomials(instance.cones, instance.R0, instance.t0, 0.4, kind)
    moment, localizers = unpack_blocks(semidefinite(rng, 4), 4)
    y = evaluate_moments(np.linalg.qr(rng.standard_normal((20, 3, 3)))[0], rng.uniform(-1, 1, (20, 3)))
    y = y[np.linalg.det(y[:, 1:10].reshape(-1, 3, 3)) > 0]
    q = y[:, :71] @ polynomials.localizers[:, :, 0].T
    squares = np.einsum("ni,kij,nj->nk", y[:, :13], localizers, y[:, :13])
    expected = y[:, :71] @ polynomials.objective[:, 0] + np.sum(q * squares, axis=1)
    expected += np.einsum("ni,ij,nj->n", y[:, :71], moment, y[:, :71])
    remainder = residual(polynomials, moment, localizers)
    np.testing.assert_allclose(y @ remainder[:, 0], expected, rtol=1e-10)
    assert np.all(np.abs(remainder[:, 0]) <= remainder[:, 2])


def test_no_multipliers(make_instance):
    instance = make_instance(0, K=5)
    zeros = np.zeros(n_entries(5))
    # All entries of the relative rotation are at most 1, and those of the translation at most the radius.
    assert 12.0 <= bound(instance, 0.5, "rotation", zeros) <= 12.0 + 1e-10
    assert 0.75 <= bound(instance, 0.5, "translation", zeros) <= 0.75 + 1e-10


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_blocks_that_are_not_finite(make_instance, value):
    for index in (0, 71**2 + 5):
        blocks = np.zeros(n_entries(5))
        blocks[index] = value
        assert bound(make_instance(0, K=5), 0.5, "rotation", blocks) == np.inf


@pytest.mark.parametrize("kind", KINDS)
def test_any_blocks_bound_all_members(solved, kind):
    instance, T, bounds = solved
    blocks, best = bounds[kind].blocks, instance.best(kind)
    rng = np.random.default_rng(1)
    candidates = [blocks * (1.0 + size * rng.standard_normal(blocks.shape)) for size in (1e-12, 1e-9, 1e-6, 1e-3)]
    candidates += [blocks + size * rng.standard_normal(blocks.shape) for size in (1e-9, 1e-3, 1.0)]
    candidates += [
        -blocks,
        0.999 * blocks,
        1e3 * blocks,
        1e-3 * blocks,
        np.where(rng.random(blocks.shape) < 0.01, 0.0, blocks),
    ]
    candidates += [rng.standard_normal(blocks.shape), semidefinite(rng, 5), 1e200 * semidefinite(rng, 5)]
    candidates += [np.full(blocks.shape, value) for value in (1.0, -1.0, 1e300, 1e-300)]
    for candidate in candidates:
        assert bound(instance, T, kind, candidate) >= best
    # Errors of the last digit do no harm.
    assert bound(instance, T, kind, candidates[0]) < 1.05 * bounds[kind].upper


def test_multipliers_of_the_wrong_sign_are_of_no_use(solved):
    """They would lower the constant, and with it the bound, below what members reach."""
    instance, T, _ = solved
    moment, localizers = np.zeros((71, 71)), np.zeros((11, 13, 13))
    for index in range(12):
        wrong = moment.copy(), localizers.copy()
        (wrong[0] if index == 11 else wrong[1][index])[0, 0] = -20.0
        assert bound(instance, T, "rotation", pack_blocks(*wrong)) >= 12.0
    # A negative eigenvalue that is too small to be taken away is paid for.
    moment[:13, :13], moment[0, 0] = 1e8 * np.eye(13), -1e-8
    assert bound(instance, T, "rotation", pack_blocks(moment, localizers)) >= 12.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_certificate_of_a_run(solved, kind):
    instance, T, bounds = solved
    found = bounds[kind]
    assert found.blocks.shape == (n_entries(5),)
    assert bound(instance, T, kind, found.blocks) == found.upper
    assert instance.best(kind) <= found.upper


def test_certificates_are_of_one_problem(solved):
    """Those of another radius or centre prove nothing good, but nothing wrong either."""
    instance, T, bounds = solved
    for change in ({"T": 2 * T}, {"t0": instance.t0 + 0.01}):
        T2, t0 = change.get("T", T), change.get("t0", instance.t0)
        other = safe_bound(instance.cones, instance.R0, t0, T2, "translation", bounds["translation"].blocks)
        assert other >= np.sum((instance.t - t0) ** 2, axis=1).max()


def test_indefinite_blocks_are_projected(solved):
    """A block that has a large negative eigenvalue does not cost as much as that."""
    instance, T, _ = solved
    blocks = np.zeros(n_entries(5))
    moment = np.zeros((71, 71))
    moment[5, 5] = -1e6
    blocks[: 71**2] = moment.ravel()
    assert bound(instance, T, "rotation", blocks) <= 12.0 + 1e-6


def test_blocks_are_made_symmetric(solved):
    instance, T, bounds = solved
    found = bounds["rotation"]
    skewed = found.blocks.copy()
    skewed[1] += 1e3
    skewed[71] -= 1e3
    assert bound(instance, T, "rotation", skewed) <= found.upper * (1 + 1e-6)


def test_wrong_number_of_entries(make_instance):
    with pytest.raises(ValueError, match=r"blocks has shape \(7,\)"):
        bound(make_instance(0, K=5), 0.5, "rotation", np.zeros(7))


def test_rounding_errors_of_sums_count(make_instance, monkeypatch):
    instance = make_instance(0, K=5)
    polynomials = pose_polynomials(instance.cones, instance.R0, instance.t0, 0.5, "rotation")
    blocks = semidefinite(np.random.default_rng(0), 5)
    sizes = residual(polynomials, *unpack_blocks(blocks, 5))[:, 2].sum()
    expected = bound(instance, 0.5, "rotation", blocks)
    monkeypatch.setattr(certificate, "ROUNDING", 1e-3)
    assert bound(instance, 0.5, "rotation", blocks) == pytest.approx(expected + 1e-3 * sizes, rel=1e-9)
