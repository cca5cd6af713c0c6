"""Moments of poses, products of monomials, and the same polynomials in quaternions."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.moments import quotient
from estimand.solvers.pose_bound.moments.pose_polynomials import pose_polynomials
from estimand.solvers.pose_bound.moments.quaternion_monomials import (
    change_of_basis,
    evaluate_quaternion_monomials,
    linear_forms,
    monomial_scales,
    quaternion_monomials,
    quaternion_products,
    spread,
)
from estimand.solvers.pose_bound.rotations import exponential_map, random_rotations


def poses(n, seed=0):
    rng = np.random.default_rng(seed)
    return random_rotations(n, rng), rng.uniform(-1, 1, (n, 3))


def test_order_of_moments():
    names = quotient.moments()
    degrees = np.array([len(rotation) + len(offset) for rotation, offset in names])
    assert (len(names), np.sum(degrees <= 2), np.sum(degrees <= 1)) == (742, 71, 13)
    assert np.all(np.diff(degrees) >= 0)
    # Columns of a rotation that is not symmetric, then the vector.
    values = quotient.evaluate_moments(np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]]), np.array([[0.2, 0.3, 0.4]]))
    assert values[0, :13].tolist() == [1, 0, 1, 0, -1, 0, 0, 0, 0, 1, 0.2, 0.3, 0.4]


def test_monomials_are_at_most_one():
    R, tau = poses(200)
    assert np.abs(quotient.evaluate_moments(R, tau)).max() <= 1.0 + 1e-12


def test_products():
    R, tau = poses(20)
    y = quotient.evaluate_moments(R, tau)
    first, second, target, coefficient = quotient.product_table(quotient.N_BASIS)
    assert np.all(first <= second)
    products = np.zeros((20, 71, 71))
    np.add.at(products, (slice(None), first, second), coefficient * y[:, target])
    expected = np.triu(y[:, :71, None] * y[:, None, :71])
    np.testing.assert_allclose(products, expected, rtol=0, atol=1e-13)


def test_matrices_of_a_member(make_instance):
    instance = make_instance(0)
    T = instance.radius()
    polynomials = pose_polynomials(instance.cones, instance.R0, instance.t0, T, "rotation")
    R, tau = polynomials.rotation.T @ instance.R[:5], (instance.t[:5] - instance.t0) / T
    for y in quotient.evaluate_moments(R, tau):
        matrix = (quotient.quadratic_form_map(71) @ y).reshape(71, 71)
        np.testing.assert_allclose(matrix, np.outer(y[:71], y[:71]), rtol=0, atol=1e-12)
        eigenvalues = np.linalg.eigvalsh(matrix)
        assert eigenvalues[0] > -1e-12
        assert eigenvalues[-2] < 1e-12 * eigenvalues[-1]
        for q in polynomials.localizers[:, :, 0]:
            localizing = (quotient.localizing_map(q) @ y).reshape(13, 13)
            np.testing.assert_allclose(localizing, (q @ y[:71]) * np.outer(y[:13], y[:13]), rtol=0, atol=1e-11)
            assert np.linalg.eigvalsh(localizing)[0] > -1e-11 * np.abs(q).max()


def test_quaternion_monomials():
    counts = [len(quaternion_monomials(degree)) for degree in range(5)]
    assert counts == [1, 13, 71, 259, 742]
    for degree in range(1, 5):
        exponents = np.array(quaternion_monomials(degree))
        assert np.all(exponents >= 0)
        assert np.all(exponents[:, :4].sum(axis=1) + 2 * exponents[:, 4:].sum(axis=1) == 2 * degree)


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_change_to_quaternions(degree):
    rng = np.random.default_rng(1)
    left, right = random_rotations(2, rng)
    coupling, axes, origin = rng.standard_normal((3, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    matrix = change_of_basis(linear_forms(left, right, coupling, axes, origin), degree)
    w, zeta = rng.uniform(-1.5, 1.5, (50, 3)), rng.uniform(-1, 1, (50, 3))
    angle = np.linalg.norm(w, axis=1, keepdims=True)
    turns, omega = np.tan(angle / 2) / angle * w, np.sin(angle) / angle * w
    values = evaluate_quaternion_monomials(turns, zeta, degree)
    R, tau = left @ exponential_map(w) @ right, origin + omega @ coupling.T + zeta @ axes.T
    expected = quotient.evaluate_moments(R, tau, len(matrix))
    np.testing.assert_allclose(values @ matrix.T, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    assert np.linalg.cond(matrix) < 1e7


@pytest.mark.parametrize("degree", [1, 2])
def test_spread(degree):
    rng = np.random.default_rng(2)
    turns, zeta = rng.uniform(-1, 1, (2, 30, 3))
    low = evaluate_quaternion_monomials(turns, zeta, degree)
    high = evaluate_quaternion_monomials(turns, zeta, 2 * degree)
    coefficients = rng.standard_normal(high.shape[1])
    matrix = spread(coefficients, degree)
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", low, matrix, low), high @ coefficients, rtol=0, atol=1e-12)
    assert np.array_equal(matrix, matrix.T)
    # Smallest in every scaling: orthogonal to all matrices whose form is 0, once both are scaled.
    scales = monomial_scales(rng.uniform(0.1, 2, 3), rng.uniform(0.1, 2, 3), degree)
    products = quaternion_products(degree, degree)
    other = rng.standard_normal(matrix.shape)
    sums = np.bincount(products.ravel(), other.ravel()) / np.bincount(products.ravel())
    kernel = other - sums[products]
    weights = np.outer(scales, scales)
    assert abs(np.sum(weights * matrix * (weights * kernel))) < 1e-10 * np.linalg.norm(weights * matrix)
