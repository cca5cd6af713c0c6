"""Soft thresholding, shared by the coordinate-descent kernels."""


cdef inline double soft(double z, double threshold, bint positive) noexcept nogil:
    """Return sign(z) max(|z| - threshold, 0), or max(z - threshold, 0) on the nonnegative half line."""
    if z > threshold:
        return z - threshold
    if z < -threshold and not positive:
        return z + threshold
    return 0.0
