"""
What a certificate is worth
===========================

A duality gap bounds the excess of the objective over its minimum, which nobody knows. Here it is known, because the
problem was solved beforehand to the accuracy of float64: the true excess of every iterate stands beside what was proved
about it at that moment.

The data are the diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004), with all monomials up to degree
three of its ten measurements.
"""

# %%
# One problem, and its minimum to the last digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from estimand.solvers import get_solver
from estimand.solvers.lasso import LassoProblem

X, y = load_diabetes(return_X_y=True, scaled=False)
monomials = make_pipeline(StandardScaler(), PolynomialFeatures(3, include_bias=False), StandardScaler())
problem = LassoProblem(A=np.asfortranarray(monomials.fit_transform(X)), y=y, alpha=0.5, fit_intercept=True)
exact = get_solver("homotopy", "lasso").solve(problem, tol=1e-14)
print(f"the minimum lies in [{exact.certificate.lower:.9f}, {exact.certificate.upper:.9f}]")

# %%
# A callback sees every check of a run and the point that was checked. It asks the problem for the certificate of that
# point alone.

TOL = 1e-9
runs = {name: [] for name in ("fista", "coordinate_descent")}
for name, checks in runs.items():

    def watch(state, checks=checks):
        """Keep the pass, the objective and the gap."""
        certificate = problem.certify(state.x, tol=TOL)
        checks.append((state.n_iter, certificate.upper, certificate.value))

    solution = get_solver(name, "lasso").solve(problem, tol=TOL, callback=watch)
    print(f"{name}: {solution.status} after {solution.n_iter} passes")

# %%
# The true excess stays below the proved gap at every check: that is the theorem. What neither of the two backends could
# know while it ran is how much of the gap was excess, and how much was the slack of its lower bound.

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, width_ratios=(2, 1))
figure.set_layout_engine("constrained")
known = exact.certificate.value  # the minimum itself is known to this accuracy
for axes, (name, checks) in zip(panels, runs.items(), strict=True):
    passes, objective, gap = np.array(checks).T
    excess = objective - exact.certificate.lower
    assert np.all(excess <= gap + known)
    lower_curve, upper_curve = np.maximum(excess, known) / problem.scale, np.maximum(gap, known) / problem.scale
    style = {"marker": "o", "markersize": 4} if passes.size < 20 else {}
    axes.fill_between(passes, lower_curve, upper_curve, color="0.92")
    axes.plot(passes, upper_curve, color="tab:blue", label="proved gap", **style)
    axes.plot(passes, lower_curve, color="tab:orange", label="true excess", **style)
    axes.axhline(TOL, color="0.4", linestyle="--", linewidth=1, label="tolerance")
    axes.set(title=name, yscale="log", xlabel="passes")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    reached, proved = (int(passes[np.argmax(values <= TOL * problem.scale)]) for values in (excess, gap))
    print(f"{name}: the excess is below the tolerance at pass {reached}, and proved to be at pass {proved}")
panels[0].set_ylabel("relative to the objective at zero")
panels[0].legend(frameon=False, loc="upper right")
plt.show()

# %%
# The slack has a reason. Near the minimum the excess is of second order in the distance to it, while the residual that
# makes the lower bound is off by the first order: on a logarithmic scale the gap falls about half as fast, and a slow
# algorithm pays for the proof with further passes. One that ends by solving linear equations, such as
# ``coordinate_descent`` with its Newton steps, hardly does.
#
# A pass of ``fista`` multiplies with the whole design twice; one of ``coordinate_descent`` looks at the whole design
# once and then works on a few columns, so that passes of the two do not compare. Curves end where the accuracy ends to
# which the minimum is known.
