"""The perspective three-point problem for many triples of points."""

from _grunert cimport three_point_poses


def solve(
    const double[:, :, ::1] rays,
    const double[:, :, ::1] points,
    double[:, :, :, ::1] rotations,
    double[:, :, ::1] translations,
    int[::1] counts,
):
    """Find the poses that put three points on three rays, triple by triple.

    Parameters
    ----------
    rays, points : arrays of shape (n, 3, 3)
        Unit vectors from the camera, and the points in the frame of the object, one keypoint a row.
    rotations, translations : arrays of shape (n, 4, 3, 3) and (n, 4, 3)
        Receive the poses of each triple; what lies beyond their number is not written.
    counts : array of shape (n,)
        Receives the number of poses of each triple.
    """
    cdef Py_ssize_t i
    with nogil:
        for i in range(counts.shape[0]):
            counts[i] = three_point_poses(
                &rays[i, 0, 0], &points[i, 0, 0], &rotations[i, 0, 0, 0], &translations[i, 0, 0]
            )
