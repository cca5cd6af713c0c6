"""
Fewer features for the same error?
==================================

Penalties that level off do not shrink large coefficients, and so need fewer small ones to make up for the shrinkage.
Whether that helps to predict depends on the data. This is the diabetes study of Efron, Hastie, Johnstone and
Tibshirani (2004) with all monomials up to degree three of its ten measurements.
"""

# %%
# Five penalties, each over a grid of strengths, on the same ten splits into halves.

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from estimand.penalties import L0, L1, MCP, SCAD, Lq
from estimand.solvers import resolve_solver
from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem

X, y = load_diabetes(return_X_y=True, scaled=False)
strengths = np.geomspace(25, 2, 25)  # in the units of the gradient: the slope of l1, MCP and SCAD at 0
families = {
    "l1": [L1(alpha=a) for a in strengths],
    "SCAD, gamma=3.7": [SCAD(alpha=a) for a in strengths],
    "MCP, gamma=3": [MCP(alpha=a) for a in strengths],
    "l1/2": [Lq(alpha=(2 * a / 3) ** 1.5, q=0.5) for a in strengths],
    "l0": [L0(alpha=a**2 / 2) for a in strengths],
}
TOL = 1e-6


def path(A, response, penalties):
    """Solve for each penalty in turn, each from the solution before."""
    problem = PenalizedLeastSquaresProblem(A=A, y=response, penalty=penalties[0], fit_intercept=True)
    solver, _ = resolve_solver("auto", problem)
    problems = [replace(problem, penalty=each) for each in penalties]
    return list(zip(problems, solver.solve_sequence(problems, tol=TOL), strict=True))


counts = {name: [] for name in families}
errors = {name: [] for name in families}
certified = dict.fromkeys(families, 0)
for train, test in ShuffleSplit(10, test_size=0.5, random_state=0).split(X):
    monomials = make_pipeline(StandardScaler(), PolynomialFeatures(3, include_bias=False), StandardScaler())
    A, held_out = np.asfortranarray(monomials.fit_transform(X[train])), monomials.transform(X[test])
    for name, penalties in families.items():
        solved = path(A, y[train], penalties)
        predictions = np.stack([held_out @ s.x + p.intercept(s.x) for p, s in solved])
        counts[name].append([np.count_nonzero(s.x) for _, s in solved])
        errors[name].append(((predictions - y[test]) ** 2).mean(axis=1) / y[test].var())
        certified[name] += sum(s.converged for _, s in solved)

# %%
# The strengths are matched so that a single standardised feature enters at the same correlation under every penalty.
# All points pass their certificate: a proved gap for l1, and for the others that no single coefficient can be improved.
# The smallest errors are looked up on the held-out halves themselves, to compare what each family could do at its best.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2))
figure.set_layout_engine("constrained")
for name in families:
    count, error = np.mean(counts[name], axis=0), np.mean(errors[name], axis=0)
    best, total = error.argmin(), np.size(counts[name])
    spread = np.std(errors[name], axis=0)[best]
    print(f"{name:16} {certified[name]}/{total} certified, best {error[best]:.3f} (std {spread:.3f})", end=" ")
    print(f"with {count[best]:4.1f} features")
    (line,) = left.plot(count, error, ".-", linewidth=1, markersize=4, label=name)
    left.plot(count[best], error[best], "o", markersize=8, color=line.get_color(), markerfacecolor="none")
    right.plot(strengths, count, linewidth=1.5, label=name)
left.set(xscale="log", xlabel="features in the model (mean of ten splits)", ylabel="held-out error / variance")
right.set(xscale="log", xlabel="strength (threshold of one feature)", ylabel="features in the model")
left.set_xticks([2, 5, 10, 20, 50], labels=["2", "5", "10", "20", "50"])
right.set_xticks([20, 10, 5, 2], labels=["20", "10", "5", "2"])
right.invert_xaxis()
left.legend(frameon=False)
for axes in (left, right):
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# At their best (circles) the families differ by less than the errors vary between splits, but not in the number of
# features that they need. On the other side l1 is the most forgiving: where the strength is chosen too small, its
# error hardly rises, and those of the others do.
