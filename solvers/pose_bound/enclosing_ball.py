"""Small balls around many poses: the centres from which members are least far away."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .rotations import chordal_mean
from .validation import FloatArray

__all__ = ["enclosing_center", "smallest_ball"]

#: Steps towards the farthest point; the radius is then within about one per cent of the smallest.
_STEPS = 200


def enclosing_center(R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the centres of small balls around rotations and around translations.

    Rotations are unit quaternions in the half-space of their mean; where they reach farther than 90 degrees from it,
    their centre is only one among others.

    Parameters
    ----------
    R, t : ndarrays of shapes (m, 3, 3) and (m, 3)
        Poses, at least one.

    Returns
    -------
    R, t : ndarrays of shapes (3, 3) and (3,)
        The centres.
    """
    mean = Rotation.from_matrix(chordal_mean(R)).as_quat()
    quaternions = Rotation.from_matrix(R).as_quat()
    quaternions *= np.where(quaternions @ mean < 0, -1.0, 1.0)[:, None]
    center, _ = smallest_ball(quaternions)
    return Rotation.from_quat(center).as_matrix(), smallest_ball(t)[0]


def smallest_ball(points: FloatArray) -> tuple[FloatArray, float]:
    """Return centre and radius of a ball around points that is hardly larger than the smallest one.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Points, at least one.

    Returns
    -------
    center : ndarray of shape (d,)
        Its centre.
    radius : float
        The distance of the farthest point.

    References
    ----------
    M. Badoiu and K. L. Clarkson, "Smaller core-sets for balls", SODA (2003).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.enclosing_ball import smallest_ball
    >>> center, radius = smallest_ball(np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.5]]))
    >>> center.round(2).tolist(), round(radius, 2)
    ([0.0, 0.0], 1.0)
    """
    center = points.mean(axis=0)
    for step in range(_STEPS):
        farthest = points[np.argmax(np.sum((points - center) ** 2, axis=1))]
        center = center + (farthest - center) / (step + 2)
    return np.asarray(center), float(np.sqrt(np.max(np.sum((points - center) ** 2, axis=1))))
