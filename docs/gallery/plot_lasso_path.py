"""
The Lasso path of the diabetes study, with its proof
====================================================

As the penalty weakens, the Lasso lets one measurement after another into the model. Every point of the path below comes
with a proved bound on how far its objective is from the optimum.

The data are those of Efron, Hastie, Johnstone and Tibshirani, "Least angle regression" (2004): ten measurements of 442
patients, and the progression of diabetes one year later.
"""

# %%
# State the problem once. The problem knows the smallest ``alpha`` at which no measurement is selected.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from estimand.solvers import resolve_solver
from estimand.solvers.lasso import LassoProblem

data = load_diabetes(scaled=False)
X = StandardScaler().fit_transform(data.data)
problem = LassoProblem(A=np.asfortranarray(X), y=data.target, alpha=1.0, fit_intercept=True)
alphas = np.geomspace(problem.alpha_max(), 0.05, 80)

# %%
# Solve it for every ``alpha``, each from the solution before, to a tolerance that we choose.

tol = 1e-6
solver, reason = resolve_solver("auto", problem)
path = solver.path(problem, alphas, tol=tol)
coefficients = np.stack([solution.x for solution in path])
proved = sum(solution.converged for solution in path)
print(f"{solver.name}: {proved} of {len(path)} points are proved to {tol:.0e}")

# %%
# The upper panel shows the coefficients, the lower one what is proved about them.

figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6.5), height_ratios=(3, 1), sharex=True)
figure.set_layout_engine("constrained")
colours = plt.colormaps["tab10"].colors
for j in np.argsort(-coefficients[-1]):
    upper.plot(alphas, coefficients[:, j], color=colours[j], label=data.feature_names[j])
upper.axhline(0, color="0.6", linewidth=0.8)
upper.set(ylabel="coefficient of the standardised measurement")
upper.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
lower.plot(alphas, [solution.certificate.relative for solution in path], ".", color="black")
lower.axhline(tol, color="tab:red", linestyle="--", label="tolerance")
lower.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
lower.set(xscale="log", xlabel="alpha", xlim=(alphas[0], alphas[-1]))
lower.set(yscale="log", ylabel="proved gap\n(relative)")
for axes in (upper, lower):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Body mass index (``bmi``) and the logarithm of the triglycerides (``s5``) come first, blood
# pressure (``bp``) next. The strongly correlated serum measurements ``s1`` and ``s2`` take large
# coefficients with opposite signs as soon as the penalty allows it.
