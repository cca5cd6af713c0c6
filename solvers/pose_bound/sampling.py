"""Members of the set of poses that put every keypoint in its ellipse: random ones, and some of its boundary."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from ...cython_ext import _purse
from .cones import KeypointCones, stacked_poses
from .p3p import pixel_rays, solve_triples
from .rotations import chordal_mean, logarithmic_map, random_rotations
from .validation import FloatArray

__all__ = ["HitAndRunSamples", "Sampling", "hit_and_run", "least_violating_poses", "ransag"]

Sampling = Literal["radius", "uniform"]

#: Samples that are drawn at a time.
_PORTION = 8192
#: Samples a call of the kernel: few, because fresh memory for the members of many would take longer than to find them.
_BLOCK = 256
#: Steps of a walk a call of the kernel, times keypoints: it returns within 0.1 s.
_STEPS = 65536
#: Points after which a walk learns its directions, and again after 3, 10, 30, 100, ... times as many.
_REFRESH = 50
#: The first step along a chord, in standard deviations of the directions.
_FIRST = 1e-3
#: The standard deviation of the first directions: radians, and shares of the depth.
_SPREAD = 0.2
#: Directions have at least this share of the largest variance in every other one.
_LEAST_VARIANCE = 1e-12


def ransag(
    geometry: KeypointCones, n_samples: int, rng: np.random.Generator, sampling: Sampling = "radius"
) -> tuple[FloatArray, FloatArray]:
    """Members of the set by random sample averaging without the average: three keypoints at a time determine poses.

    Each sample takes three of the keypoints, puts each at a random point ``mu + rho L^-T d / ||d||`` of its ellipse
    with ``d ~ N(0, I)``, solves the perspective three-point problem and keeps the solutions that are members.

    Parameters
    ----------
    geometry : KeypointCones
        The set.
    n_samples : int
        Triples, at least 1.
    rng : numpy.random.Generator
        Where the random numbers come from.
    sampling : {"radius", "uniform"}, default="radius"
        The law of ``rho``: uniform on [0, 1] as in the paper, which prefers the centre, or the square root of that, so
        that points are uniform on the ellipse.

    Returns
    -------
    R, t : ndarrays of shapes (m, 3, 3) and (m, 3)
        Members, at most 4 a sample; often they are few and sometimes none.

    Raises
    ------
    ValueError
        For a wrong `n_samples` or `sampling`.

    See Also
    --------
    least_violating_poses : Where to go on if there are none.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.sampling import ransag
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.02**2, (4, 1, 1))
    >>> geometry = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> R, t = ransag(geometry, 500, np.random.default_rng(0))
    >>> len(R) > 100, bool(geometry.contains(R, t).all())
    (True, True)
    """
    _check(n_samples, sampling)
    rotations, translations = np.empty((4 * _BLOCK, 3, 3)), np.empty((4 * _BLOCK, 3))
    found = []
    for n in _portions(n_samples):
        triples, offsets = _draw(geometry.n_keypoints, n, rng, sampling)
        for first in range(0, n, _BLOCK):
            n_found = _purse.ransag(
                triples[first : first + _BLOCK],
                offsets[first : first + _BLOCK],
                geometry.centers,
                geometry.spreads,
                geometry.points,
                geometry.cones,
                geometry.min_depth,
                rotations,
                translations,
            )
            found.append((rotations[:n_found].copy(), translations[:n_found].copy()))
    return np.concatenate([R for R, _ in found]), np.concatenate([t for _, t in found])


def least_violating_poses(
    geometry: KeypointCones,
    n_samples: int,
    rng: np.random.Generator,
    sampling: Sampling = "radius",
    *,
    n_poses: int = 20,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve for the poses of `ransag`, and return those that come closest to being members.

    Parameters
    ----------
    geometry : KeypointCones
        The set.
    n_samples : int
        Triples, at least 1.
    rng : numpy.random.Generator
        Where the random numbers come from; in the state that `ransag` was given they are the same.
    sampling : {"radius", "uniform"}, default="radius"
        As in `ransag`.
    n_poses : int, default=20
        Poses to return, at least 1.

    Returns
    -------
    R, t : ndarrays of shapes (n_poses, 3, 3) and (n_poses, 3)
        Poses with all keypoints at `min_depth` or beyond. If there are too few, random rotations at about the distance
        at which the object is as large as it is seen make up the number.
    violations : ndarray of shape (n_poses,)
        Their ``max_k ||N_k X_k|| / z_k``, ascending: members have at most 1.

    Raises
    ------
    ValueError
        For a wrong `n_samples`, `n_poses` or `sampling`.
    """
    _check(n_samples, sampling)
    if not isinstance(n_poses, Integral) or n_poses < 1:
        raise ValueError(f"n_poses={n_poses!r} must be an integer of at least 1.")
    best = _distant_poses(geometry, n_poses, np.random.default_rng(0))
    for n in _portions(n_samples):
        triples, offsets = _draw(geometry.n_keypoints, n, rng, sampling)
        pixels = geometry.centers[triples] + np.einsum("nkij,nkj->nki", geometry.spreads[triples], offsets)
        R, t, _ = solve_triples(pixel_rays(pixels), geometry.points[triples])
        violations = geometry.violations(R, t)
        # Those from afar are the last resort, whatever their violations are.
        fallback = np.concatenate([np.isinf(violations), best[3]])
        merged = [np.concatenate(pair) for pair in zip((R, t, violations), best[:3], strict=True)]
        order = np.lexsort((merged[2], fallback))[:n_poses]
        best = (merged[0][order], merged[1][order], merged[2][order], fallback[order])
    order = np.argsort(best[2], kind="stable")
    return best[0][order], best[1][order], best[2][order]


class HitAndRunSamples(NamedTuple):
    """What a walk through the set gives.

    Parameters
    ----------
    R, t : ndarrays of shapes (n, 3, 3) and (n, 3)
        Members, the points of the chains.
    boundary_R, boundary_t : ndarrays of shapes (b, 3, 3) and (b, 3)
        Members next to the boundary: the ends of the chords, less than 1/2000 of the distance of their ends away from
        poses that are no members.
    """

    R: FloatArray
    t: FloatArray
    boundary_R: FloatArray
    boundary_t: FloatArray


def hit_and_run(
    geometry: KeypointCones,
    start: tuple[npt.ArrayLike, npt.ArrayLike],
    n_samples: int,
    rng: np.random.Generator,
    *,
    n_chains: int = 32,
    n_burn_in: int = 1500,
) -> HitAndRunSamples:
    """Walk through the set, to a random point of the chord in a random direction again and again.

    A step in the direction ``d = (w, tau)`` goes from (R, t) to ``(R Exp(x w), t + x tau)``, where x is uniform between
    the first exits on both sides. Directions are Gaussian, at first with 0.2 rad and 0.2 times the depth, then with the
    covariance of the points, anew after 50, 150, 500, 1500, ... of them.

    Parameters
    ----------
    geometry : KeypointCones
        The set, which should be bounded; a chord that has turned by 180 degrees, or is 1e9 standard deviations long, is
        not followed further.
    start : tuple of array-likes of shapes (3, 3) or (m, 3, 3), and (3,) or (m, 3)
        Members. If there are several, the chains start from different ones, evenly spread over the list.
    n_samples : int
        Members to return, at least 1.
    rng : numpy.random.Generator
        Where the random numbers come from.
    n_chains : int, default=32
        Chains, at least 1.
    n_burn_in : int, default=1500
        Points, of all the chains together, that are dropped at first, at least 0.

    Returns
    -------
    samples : HitAndRunSamples
        Members, and members next to the boundary, about two a member. The points are spread over the set but not
        uniform: the set need not be convex, directions adapt, and points of a chain depend on each other.

    Raises
    ------
    ValueError
        If `start` is no member, or for wrong numbers.

    References
    ----------
    R. L. Smith, "Efficient Monte Carlo procedures for generating points uniformly distributed over bounded regions",
    Operations Research 32 (1984). Y. Gao, Y. Tang, H. Qi and H. Yang, "CLOSURE: Fast quantification of pose uncertainty
    sets", RSS 2024 (walks to the boundary).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.sampling import hit_and_run
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.02**2, (4, 1, 1))
    >>> geometry = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> samples = hit_and_run(geometry, (np.eye(3), [0.0, 0.0, 1.0]), 100, np.random.default_rng(0))
    >>> samples.R.shape, bool(geometry.contains(samples.boundary_R, samples.boundary_t).all())
    ((100, 3, 3), True)
    """
    for name, value, least in (("n_samples", n_samples, 1), ("n_chains", n_chains, 1), ("n_burn_in", n_burn_in, 0)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
    R, t = stacked_poses(*start)
    outside = np.flatnonzero(~geometry.contains(R, t))
    if outside.size or not R.shape[0]:
        raise ValueError(f"Pose {outside[0]} of start is no member of the set." if outside.size else "start is empty.")
    chosen = (np.arange(n_chains) * max(R.shape[0], n_chains)) // n_chains % R.shape[0]
    walk = _Walk(geometry, R[chosen].copy(), t[chosen].copy(), rng)
    walk.advance(-(-n_burn_in // n_chains))
    members, boundary = walk.advance(-(-n_samples // n_chains))
    return HitAndRunSamples(members[0][:n_samples], members[1][:n_samples], *boundary)


class _Walk:
    """Chains in the set, and the directions that they have learned."""

    def __init__(self, geometry: KeypointCones, R: FloatArray, t: FloatArray, rng: np.random.Generator) -> None:
        self.geometry, self.R, self.t, self.rng = geometry, R, t, rng
        depth = float(geometry.depths(R, t).mean())
        self.unit = _SPREAD * np.array([1.0, 1.0, 1.0, depth, depth, depth])
        self.factor: FloatArray = np.diag(self.unit)
        self.refreshes = (_REFRESH * lead * 10**power for power in count() for lead in (1, 3))
        self.n_points, self.next_refresh = 0, next(self.refreshes)
        self.recent: list[tuple[FloatArray, FloatArray]] = []

    def advance(self, n_steps: int) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Take steps with all chains; return their points, and the ends of the chords."""
        n_chains = self.R.shape[0]
        parts: list[tuple[FloatArray, ...]] = [tuple(np.empty((0, *shape)) for shape in ((3, 3), (3,), (3, 3), (3,)))]
        while n_steps > 0:
            until_refresh = -(-(self.next_refresh - self.n_points) // n_chains)
            steps = min(n_steps, until_refresh, max(1, _STEPS // (n_chains * self.geometry.n_keypoints)))
            parts.append(self._steps(steps))
            n_steps -= steps
            self.n_points += steps * n_chains
            self.recent.append((parts[-1][0], parts[-1][1]))
            if self.n_points >= self.next_refresh:
                self._learn()
        R, t, boundary_R, boundary_t = (np.concatenate(part) for part in zip(*parts, strict=True))
        return (R, t), (boundary_R, boundary_t)

    def _steps(self, n: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        shape = (n, self.R.shape[0])
        directions = self.rng.standard_normal((*shape, 6)) @ self.factor.T
        uniform = self.rng.random(shape)
        R, t = np.empty((*shape, 3, 3)), np.empty((*shape, 3))
        end_R, end_t, found = np.empty((*shape, 2, 3, 3)), np.empty((*shape, 2, 3)), np.empty((*shape, 2), np.uint8)
        _purse.hit_and_run(
            directions,
            uniform,
            self.geometry.points,
            self.geometry.cones,
            self.geometry.min_depth,
            _FIRST,
            np.empty((self.geometry.n_keypoints, 12)),
            self.R,
            self.t,
            R,
            t,
            end_R,
            end_t,
            found,
        )
        ends = found.astype(bool)
        return R.reshape(-1, 3, 3), t.reshape(-1, 3), end_R[ends], end_t[ends]

    def _learn(self) -> None:
        """Take the covariance of the points since the last time for that of the directions."""
        R, t = (np.concatenate(part) for part in zip(*self.recent, strict=True))
        around = logarithmic_map(chordal_mean(R).T @ R)
        chart = np.concatenate([around - around.mean(axis=0), t - t.mean(axis=0)], axis=1) / self.unit
        values, vectors = np.linalg.eigh(chart.T @ chart / chart.shape[0])
        if values[-1] > 0:
            root = np.sqrt(np.maximum(values, _LEAST_VARIANCE * values[-1]))
            self.factor = self.unit[:, None] * vectors * root
        self.recent = []
        while self.next_refresh <= self.n_points:
            self.next_refresh = next(self.refreshes)


def _check(n_samples: int, sampling: str) -> None:
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be an integer of at least 1.")
    if sampling not in get_args(Sampling):
        raise ValueError(f"sampling={sampling!r} must be one of {', '.join(map(repr, get_args(Sampling)))}.")


def _portions(n_samples: int) -> Iterator[int]:
    """Yield how many samples to draw, again and again."""
    return (min(_PORTION, n_samples - first) for first in range(0, n_samples, _PORTION))


def _draw(K: int, n: int, rng: np.random.Generator, sampling: Sampling) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Return triples of different keypoints, of shape (n, 3), and points of the unit disk, of shape (n, 3, 2)."""
    first, second, third = (rng.integers(0, bound, n, dtype=np.int32) for bound in (K, K - 1, K - 2))
    # The second is drawn from the numbers without the first, the third from those without both.
    second += second >= first
    third += third >= np.minimum(first, second)
    third += third >= np.maximum(first, second)
    angle, radius = rng.random((2, n, 3))
    angle *= 2.0 * np.pi
    radius = np.sqrt(radius) if sampling == "uniform" else radius
    offsets = np.empty((n, 3, 2))
    np.multiply(radius, np.cos(angle), out=offsets[:, :, 0])
    np.multiply(radius, np.sin(angle), out=offsets[:, :, 1])
    return np.stack([first, second, third], axis=1), offsets


def _distant_poses(geometry: KeypointCones, n: int, rng: np.random.Generator) -> tuple[Any, ...]:
    """Return poses with random rotations at about the right distance, their violations, and a mark of fallbacks."""
    centred = geometry.points - geometry.points.mean(axis=0)
    seen, middle = geometry.centers - geometry.centers.mean(axis=0), geometry.centers.mean(axis=0)
    size = float(np.linalg.norm(centred, axis=1).max())
    distance = np.sqrt(np.sum(centred**2) / max(float(np.sum(seen**2)), 1e-12 * geometry.n_keypoints))
    depth = max(distance, 1.5 * size + geometry.min_depth)
    R = random_rotations(n, rng)
    t = depth * np.array([*middle, 1.0]) - R @ geometry.points.mean(axis=0)
    return R, t, geometry.violations(R, t), np.ones(n, dtype=bool)
