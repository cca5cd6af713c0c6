"""Distances, means and charts of rotations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimand.solvers.pose_bound.rotations import (
    chordal_mean,
    exponential_map,
    logarithmic_map,
    nearest_rotation,
    random_rotations,
    rotation_angle,
)


def turns(n, seed):
    return random_rotations(n, np.random.default_rng(seed))


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-6, 1e-3, 0.5, np.pi / 2, 2.0, 3.0, np.pi - 1e-6, np.pi - 1e-9, np.pi])
def test_angles_are_accurate_everywhere(angle):
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    around = exponential_map(angle * axes)
    np.testing.assert_allclose(rotation_angle(np.eye(3), around, degrees=False), angle, rtol=1e-12, atol=5e-16)
    base = turns(50, 1)
    np.testing.assert_allclose(rotation_angle(base, base @ around, degrees=False), angle, rtol=0, atol=5e-15)
    np.testing.assert_allclose(rotation_angle(base @ around, base), np.degrees(angle), rtol=0, atol=5e-13)


def test_angles_of_single_rotations_and_of_stacks():
    stack = turns(5, 0)
    single = rotation_angle(stack[0], stack[1])
    assert isinstance(single, float)
    assert single == pytest.approx(np.degrees(np.arccos((np.trace(stack[0].T @ stack[1]) - 1) / 2)))
    assert rotation_angle(stack, stack[0]).shape == (5,)
    assert rotation_angle(stack[:, None], stack).shape == (5, 5)
    assert rotation_angle(stack, stack).tolist() == [0.0] * 5


def test_the_chordal_mean_minimises_the_sum_of_squared_chords():
    around = turns(1, 0)[0] @ exponential_map(0.4 * np.random.default_rng(1).standard_normal((20, 3)))
    weights = np.random.default_rng(2).random(20)
    mean = chordal_mean(around, weights)

    def cost(R):
        return np.sum(weights * np.sum((around - R) ** 2, axis=(1, 2)))

    assert mean.T @ mean == pytest.approx(np.eye(3), abs=1e-14)
    assert np.linalg.det(mean) == pytest.approx(1.0)
    for step in 1e-3 * np.vstack([np.eye(3), -np.eye(3)]):
        assert cost(mean) < cost(mean @ exponential_map(step))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_the_chordal_mean_is_equivariant(seed):
    A, B = turns(2, seed)
    around = exponential_map(np.random.default_rng(seed).standard_normal((7, 3)))
    np.testing.assert_allclose(chordal_mean(A @ around @ B), A @ chordal_mean(around) @ B, atol=1e-9)


def test_weights_are_repetitions():
    around = exponential_map(np.random.default_rng(0).standard_normal((4, 3)))
    np.testing.assert_allclose(
        chordal_mean(around, [2, 0, 1, 3]), chordal_mean(around[[0, 0, 2, 3, 3, 3]]), rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(
        chordal_mean(around, [2e-300, 0, 1e-300, 3e-300]), chordal_mean(around, [2, 0, 1, 3]), rtol=0, atol=1e-14
    )


def test_the_nearest_rotation_of_a_reflection_is_a_rotation():
    np.testing.assert_allclose(nearest_rotation(np.diag([3.0, 2.0, -1.0])), np.eye(3), atol=1e-15)
    matrices = np.random.default_rng(0).standard_normal((30, 3, 3))
    nearest = nearest_rotation(matrices)
    assert np.linalg.det(nearest) == pytest.approx(np.ones(30))
    others = turns(200, 1)
    for A, R in zip(matrices, nearest, strict=True):
        assert np.linalg.norm(A - R) <= np.linalg.norm(A - others, axis=(1, 2)).min() + 1e-12


def test_the_maps_are_inverse_to_each_other():
    vectors = np.random.default_rng(0).standard_normal((2, 50, 3))
    vectors *= np.minimum(1.0, 3.1 / np.linalg.norm(vectors, axis=2, keepdims=True))
    vectors[0, :3] = [[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.0, 3.14159265, 0.0]]
    back = logarithmic_map(exponential_map(vectors))
    assert back.shape == vectors.shape
    np.testing.assert_allclose(back, vectors, rtol=0, atol=1e-14)
    series = sum(
        np.linalg.matrix_power(np.array([[0, -0.3, 0.2], [0.3, 0, -0.1], [-0.2, 0.1, 0]]), k) / np.prod(range(1, k + 1))
        for k in range(20)
    )
    np.testing.assert_allclose(exponential_map([0.1, 0.2, 0.3]), series, atol=1e-15)


def test_random_rotations_are_uniform():
    stack = turns(20000, 0)
    np.testing.assert_array_equal(stack, turns(20000, 0))
    assert np.linalg.det(stack) == pytest.approx(np.ones(20000))
    # The entries have mean 0 and variance 1/3; the angle has the mean pi/2 + 2/pi.
    assert np.abs(stack.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 20000)
    angles = rotation_angle(stack, np.eye(3), degrees=False)
    assert angles.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=4 * angles.std() / np.sqrt(20000))
    assert random_rotations(0, np.random.default_rng(0)).shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rotation_angle(np.eye(2), np.eye(3)), "R1 has shape"),
        (lambda: rotation_angle(np.eye(3), np.ones(3)), "R2 has shape"),
        (lambda: rotation_angle(turns(2, 0), turns(3, 0)), "do not broadcast"),
        (lambda: chordal_mean(np.empty((0, 3, 3))), "empty"),
        (lambda: chordal_mean(np.eye(3)), "shape"),
        (lambda: chordal_mean([np.eye(3), -np.eye(3)]), r"rotations\[1\] is no rotation"),
        (lambda: chordal_mean([np.eye(3), np.full((3, 3), np.nan)]), "NaN"),
        (lambda: chordal_mean([np.eye(3)], [-1.0]), "weights"),
        (lambda: chordal_mean([np.eye(3)], [0.0]), "weights"),
        (lambda: chordal_mean([np.eye(3)], [1.0, 2.0]), "weights has shape"),
        (lambda: logarithmic_map(1.1 * np.eye(3)), "no rotation"),
        (lambda: logarithmic_map(np.eye(2)), "shape"),
        (lambda: exponential_map([1.0, 2.0]), "shape"),
        (lambda: exponential_map([np.inf, 0.0, 0.0]), "infinity"),
        (lambda: nearest_rotation(np.full((3, 3), np.nan)), "NaN"),
        (lambda: nearest_rotation(np.ones((3, 2))), "shape"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
