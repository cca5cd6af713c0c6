"""A pose-bound problem in polynomials: their values at members, and how exact the coefficients are."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from estimand.solvers.pose_bound.moments import double_double
from estimand.solvers.pose_bound.moments.pose_polynomials import pose_polynomials
from estimand.solvers.pose_bound.moments.quotient import evaluate_moments, product_table


def fraction(number):
    return Fraction(float(number[0])) + Fraction(float(number[1]))


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_values_at_members(make_instance, kind):
    instance = make_instance(1, K=5)
    T, cones = instance.radius(), instance.cones
    polynomials = pose_polynomials(cones, instance.R0, instance.t0, T, kind)
    tau = (instance.t - instance.t0) / T
    y = evaluate_moments(polynomials.rotation.T @ instance.R, tau, 71)
    objective = y @ polynomials.objective[:, 0] * polynomials.unit
    np.testing.assert_allclose(objective, instance.objective(kind), rtol=0, atol=1e-14)
    X = np.einsum("nij,kj->nki", instance.R, cones.points) + instance.t[:, None]
    depth, reach = X[:, :, 2], np.linalg.norm(np.einsum("kri,nki->nkr", cones.cones, X), axis=2)
    ball = 1.0 - np.sum(tau**2, axis=1, keepdims=True)
    expected = np.concatenate([depth**2 - reach**2, depth - cones.min_depth, ball], axis=1)
    np.testing.assert_allclose(y @ polynomials.localizers[:, :, 0].T, expected, rtol=0, atol=1e-12)
    forms = np.einsum("ni,kri->nkr", y[:, :13], polynomials.forms[..., 0])
    np.testing.assert_allclose(forms[:, :, 2], depth, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.linalg.norm(forms[:, :, :2], axis=2), reach, rtol=0, atol=1e-12)


def test_coefficients_are_exact(make_instance):
    """Those of a cone and of its linear forms, against fractions."""
    instance, T = make_instance(2, K=4), 0.3
    polynomials = pose_polynomials(instance.cones, instance.R0, instance.t0, T, "rotation")
    exact = np.vectorize(lambda x: Fraction(float(x)), otypes=[object])
    N, P, t0 = exact(instance.cones.cones[1]), exact(instance.cones.points[1]), exact(instance.t0)
    rows, Q = np.concatenate([N, exact([[0, 0, 1]])]), rational_rotation(instance.R0)
    forms = np.concatenate([(rows @ t0)[:, None], *(P[j] * (rows @ Q) for j in range(3)), Fraction(T) * rows], axis=1)
    for row, reference in zip(polynomials.forms[1], forms, strict=True):
        for number, value in zip(row, reference, strict=True):
            assert abs(fraction(number) - value) <= double_double.ROUNDING * number[2]
    total = [Fraction(0)] * 71
    for i, j, k, c in zip(*product_table(13), strict=True):
        both = (1 if i == j else 2) * int(c)
        total[k] += both * (forms[2, i] * forms[2, j] - forms[0, i] * forms[0, j] - forms[1, i] * forms[1, j])
    for number, value in zip(polynomials.localizers[1], total, strict=True):
        assert abs(fraction(number) - value) <= double_double.ROUNDING * number[2]
        assert number[2] < 1e6


def rational_rotation(R):
    """The rotation of the quaternion of R, which is rounded, as fractions."""
    x, y, z, w = (Fraction(float(value)) for value in Rotation.from_matrix(R).as_quat())
    n = x * x + y * y + z * z + w * w
    Q = np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )
    return Q / n


def test_a_centre_that_is_a_rotation_but_for_rounding(make_instance):
    instance = make_instance(1, K=5)
    off = instance.R0 + 1e-8 * np.arange(9).reshape(3, 3)
    polynomials = pose_polynomials(instance.cones, off, instance.t0, 1.0, "rotation")
    y = evaluate_moments(polynomials.rotation.T @ instance.R, instance.t - instance.t0, 71)
    expected = np.sum((instance.R - off) ** 2, axis=(1, 2))
    np.testing.assert_allclose(y @ polynomials.objective[:, 0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R0": np.diag([1.0, 1.0, -1.0])}, "R0"),
        ({"R0": np.eye(2)}, "R0"),
        ({"t0": [0.0, np.nan, 1.0]}, "t0"),
        ({"max_distance": 0.0}, "max_distance"),
        ({"max_distance": np.inf}, "max_distance"),
        ({"kind": "both"}, "kind"),
    ],
)
def test_bad_input(make_instance, change, message):
    arguments = {"R0": np.eye(3), "t0": np.zeros(3), "max_distance": 1.0, "kind": "rotation", **change}
    with pytest.raises(ValueError, match=message):
        pose_polynomials(make_instance(1, K=5).cones, **arguments)


def test_numbers_of_twice_the_precision():
    rng = np.random.default_rng(0)
    a, b = (double_double.exact(rng.standard_normal(40) * 10.0 ** rng.integers(-9, 9, 40)) for _ in range(2))
    a = double_double.plus(a, double_double.exact(1e-20 * rng.standard_normal(40)))
    results = [
        (double_double.plus(a, b), lambda x, y: x + y),
        (double_double.minus(a, b), lambda x, y: x - y),
        (double_double.times(a, b), lambda x, y: x * y),
        (double_double.quotient(a, b), lambda x, y: x / y),
    ]
    for numbers, operation in results:
        for number, x, y in zip(numbers, a, b, strict=True):
            exact = operation(fraction(x), fraction(y))
            assert abs(fraction(number) - exact) <= 2.0**-95 * number[2]
            assert abs(exact) <= number[2] * (1 + 1e-12)
    total = double_double.dot(a[None], b[None])[0]
    exact = sum(fraction(x) * fraction(y) for x, y in zip(a, b, strict=True))
    assert abs(fraction(total) - exact) <= 2.0**-95 * total[2]
