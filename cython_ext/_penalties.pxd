# The values and scalar proximal maps of the penalty table, by code. The formulas are those of the Python package
# `penalties`, for z >= 0, x >= 0 and tau >= 0; the parameters (alpha, p1, p2) are what its `kernel_arguments` returns.

from libc.math cimport exp, fabs, fmax, fmin, isfinite, log, log1p, pow, sqrt

cdef enum PenaltyCode:
    CODE_L1 = 0
    CODE_L1L2 = 1
    CODE_LQ = 2
    CODE_L0 = 3
    CODE_CEL0 = 4
    CODE_MCP = 5
    CODE_SCAD = 6
    CODE_LOG = 7
    CODE_CAPPED_L1 = 8


cdef inline double prox_lq(double x, double eta, double q) noexcept nogil:
    cdef double c, zbar, target, s, power, new
    cdef int _
    if eta == 0:
        return x
    c = q / (2.0 * (1.0 - q))
    zbar = exp((log(eta) + log(2.0 * (1.0 - q))) / (2.0 - q))
    if not x > (1.0 + c) * zbar:
        return 0.0
    target = x / zbar
    if not isfinite(target):
        return x
    s = fmax(target - c * pow(target, q - 1.0), 1.0)
    for _ in range(30):
        power = pow(s, q - 2.0)
        new = fmax(s - (s + c * power * s - target) / (1.0 - 0.5 * q * power), 1.0)
        if fabs(new - s) <= 1e-15 * s:
            s = new
            break
        s = new
    return s * zbar


cdef inline double prox_cel0(double x, double tau, double alpha, double a) noexcept nogil:
    cdef double curvature = a * a * tau
    # At the limit itself, which a coordinate step hits, rounding must not decide the branch.
    if curvature < 1.0 - 1e-12:
        return fmin(x, fmax(x - a * tau * sqrt(2.0 * alpha), 0.0) / (1.0 - curvature))
    return x if x > sqrt(2.0 * (tau * alpha)) else 0.0


cdef inline double prox_mcp(double x, double tau, double alpha, double gamma) noexcept nogil:
    if tau < gamma:
        if x > gamma * alpha:
            return x
        return fmin(fmax(x - tau * alpha, 0.0) / (1.0 - tau / gamma), x)
    return x if x > alpha * sqrt(gamma * tau) else 0.0


cdef inline double prox_scad(double x, double tau, double alpha, double gamma) noexcept nogil:
    cdef double eta = tau * alpha, middle, first, second
    if tau < gamma - 1.0:
        if x <= alpha + eta:
            return fmax(x - eta, 0.0)
        if x > gamma * alpha:
            return x
        middle = ((gamma - 1.0) * x - gamma * eta) / (gamma - 1.0 - tau)
        return fmin(fmax(middle, alpha), fmax(x, alpha))
    first, second = fmin(fmax(x - eta, 0.0), alpha), fmax(x, gamma * alpha)
    if second * (0.5 * second - x) + 0.5 * eta * alpha * (gamma + 1.0) < first * (0.5 * first - x) + eta * first:
        return second
    return first


cdef inline double prox_log(double x, double eta, double eps) noexcept nogil:
    cdef double bound = 2.0 * sqrt(eta), root, z
    if x + eps < bound:
        return 0.0
    root = sqrt(x + eps - bound) * sqrt(x + eps + bound)
    # Two forms of the larger root: each cancels where the other is used.
    if x >= eps:
        z = 0.5 * ((x - eps) + root)
    else:
        z = 2.0 * (x * eps - eta) / ((eps - x) + root)
    if not z > 0:
        return 0.0
    z = fmin(z, x)
    if eta <= eps * eps or z * (0.5 * z - x) + eta * log1p(z / eps) < 0:
        return z
    return 0.0


cdef inline double prox_capped_l1(double x, double eta, double theta) noexcept nogil:
    cdef double first = fmin(fmax(x - eta, 0.0), theta), second = fmax(x, theta)
    if second * (0.5 * second - x) + eta * theta < first * (0.5 * first - x) + eta * first:
        return second
    return first


cdef inline double prox(int code, double alpha, double p1, double p2, double x, double tau) noexcept nogil:
    if code == CODE_L1:
        return fmax(x - tau * alpha, 0.0)
    if code == CODE_MCP:
        return prox_mcp(x, tau, alpha, p1)
    if code == CODE_L0:
        return x if x > sqrt(2.0 * (tau * alpha)) else 0.0
    if code == CODE_L1L2:
        return fmax(x - tau * alpha, 0.0) / (1.0 + tau * p1)
    if code == CODE_LQ:
        return prox_lq(x, tau * alpha, p1)
    if code == CODE_CEL0:
        return prox_cel0(x, tau, alpha, p1)
    if code == CODE_SCAD:
        return prox_scad(x, tau, alpha, p1)
    if code == CODE_LOG:
        return prox_log(x, tau * alpha, p1)
    return prox_capped_l1(x, tau * alpha, p1)


cdef inline double value(int code, double alpha, double p1, double p2, double z) noexcept nogil:
    cdef double bound
    if code == CODE_L1:
        return alpha * z
    if code == CODE_L0:
        return alpha if z > 0 else 0.0
    if code == CODE_MCP:
        z = fmin(z, p1 * alpha)
        return alpha * z - z * z / (2.0 * p1)
    if code == CODE_L1L2:
        return z * (alpha + 0.5 * p1 * z)
    if code == CODE_LQ:
        return alpha * pow(z, p1)
    if code == CODE_CEL0:
        bound = sqrt(2.0 * alpha)
        z = fmin(z, bound / p1)
        return p1 * bound * z - 0.5 * (p1 * z) * (p1 * z)
    if code == CODE_SCAD:
        bound = fmin(fmax(z, alpha), p1 * alpha) - alpha
        return alpha * (fmin(z, alpha) + bound) - bound * bound / (2.0 * (p1 - 1.0))
    if code == CODE_LOG:
        return alpha * log1p(z / p1)
    return alpha * fmin(z, p1)


cdef struct Rule:
    int code
    double alpha
    double p1
    double p2
    bint positive


cdef inline double best_value(double v, double q, double nu, double weight, Rule* rule) noexcept nogil:
    # The minimiser over one coordinate, now v, whose negative slope is q and whose curvature is nu.
    cdef double u = v + q / nu
    if weight == 0:
        return u
    if u < 0:
        return 0.0 if rule.positive else -prox(rule.code, rule.alpha, rule.p1, rule.p2, -u, weight / nu)
    return prox(rule.code, rule.alpha, rule.p1, rule.p2, u, weight / nu)


cdef inline double slope(int code, double alpha, double p1, double p2, double z) noexcept nogil:
    # The derivative of the value at z > 0.
    if code == CODE_L1:
        return alpha
    if code == CODE_L0:
        return 0.0
    if code == CODE_MCP:
        return fmax(alpha - z / p1, 0.0)
    if code == CODE_L1L2:
        return alpha + p1 * z
    if code == CODE_LQ:
        return alpha * p1 * pow(z, p1 - 1.0)
    if code == CODE_CEL0:
        return fmax(p1 * sqrt(2.0 * alpha) - p1 * p1 * z, 0.0)
    if code == CODE_SCAD:
        return alpha if z <= alpha else fmax(p1 * alpha - z, 0.0) / (p1 - 1.0)
    if code == CODE_LOG:
        return alpha / (p1 + z)
    return alpha if z < p1 else 0.0


cdef inline double bend(int code, double alpha, double p1, double p2, double z) noexcept nogil:
    # The second derivative of the value at z > 0, where there is one.
    if code == CODE_L1 or code == CODE_L0:
        return 0.0
    if code == CODE_MCP:
        return -1.0 / p1 if z < p1 * alpha else 0.0
    if code == CODE_L1L2:
        return p1
    if code == CODE_LQ:
        return alpha * p1 * (p1 - 1.0) * pow(z, p1 - 2.0)
    if code == CODE_CEL0:
        return -p1 * p1 if p1 * z < sqrt(2.0 * alpha) else 0.0
    if code == CODE_SCAD:
        return -1.0 / (p1 - 1.0) if alpha < z < p1 * alpha else 0.0
    if code == CODE_LOG:
        return -alpha / ((p1 + z) * (p1 + z))
    return 0.0
