"""
A sparse logistic path, with its proof and its price
====================================================

How many of thirty measurements of a cell nucleus does it take to tell benign from malignant tumours? The l1 penalty
gives a path of answers. Each is certified by its duality gap on the training data; which of them predicts well is a
different question, and held-out data answer it.

The data are those of Street, Wolberg and Mangasarian (1993), the breast cancer data of scikit-learn.
"""

# %%
# State the problem on a training half, and solve it for forty strengths, each from the solution before.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_expit
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from estimand.solvers import resolve_solver
from estimand.solvers.logistic import LogisticProblem

data = load_breast_cancer()
signs = np.where(data.target_names[data.target] == "malignant", 1.0, -1.0)
X, X_test, y, y_test = train_test_split(data.data, signs, test_size=0.5, stratify=signs, random_state=0)
scaler = StandardScaler().fit(X)
X, X_test = np.asfortranarray(scaler.transform(X)), scaler.transform(X_test)

TOL = 1e-6
problem = LogisticProblem(A=X, y=y, alpha=1.0, fit_intercept=True)
alphas = problem.alpha_max() * np.geomspace(0.95, 1e-3, 40)
solver, reason = resolve_solver("auto", problem)
path = solver.path(problem, alphas, tol=TOL)
print(f"{solver.name}: {sum(solution.converged for solution in path)} of {len(path)} points are proved to {TOL:.0e}")

# %%
# The log-loss is what the objective is made of, on both halves. The held-out half was used for nothing else: the
# strength that is best on it is marked to show where it lies, not as a way to choose it.

coefficients = np.stack([solution.x.coef for solution in path])
intercepts = np.array([solution.x.intercept[0] for solution in path])
training = -log_expit(y[:, None] * (X @ coefficients.T + intercepts)).mean(axis=0)
held_out = -log_expit(y_test[:, None] * (X_test @ coefficients.T + intercepts)).mean(axis=0)
selected = np.count_nonzero(coefficients, axis=1)
best = held_out.argmin()
print(f"held-out log-loss {held_out[best]:.3f} with {selected[best]} measurements at alpha={alphas[best]:.4f}")

figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(8, 8), height_ratios=(3, 2, 1.2), sharex=True)
figure.set_layout_engine("constrained")
shown = np.argsort(-np.abs(coefficients[best]))[:6]
top.plot(alphas, np.delete(coefficients, shown, axis=1), color="0.8", linewidth=0.8)
for colour, j in zip(plt.colormaps["tab10"].colors, shown, strict=False):
    top.plot(alphas, coefficients[:, j], color=colour, label=data.feature_names[j])
top.set(ylabel="coefficient (log-odds of malignant)")
limit = 1.2 * np.abs(coefficients[: best + 8]).max()
top.set_ylim(-limit, limit)
top.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title="largest at the mark")
middle.plot(alphas, training, color="0.5", label="training")
middle.plot(alphas, held_out, color="tab:red", label="held out")
middle.set(ylabel="log-loss", ylim=(0, None))
middle.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
bottom.plot(
    alphas, [solution.certificate.relative for solution in path], ".", color="black", clip_on=False, label="proved gap"
)
bottom.axhline(TOL, color="tab:red", linestyle="--", linewidth=1, label="tolerance")
bottom.set(yscale="log", ylabel="relative gap", xscale="log", xlabel="alpha", xlim=(alphas[0], alphas[-1]))
bottom.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
for axes in (top, middle, bottom):
    axes.axvline(alphas[best], color="0.4", linestyle=":", linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# To the right the training loss goes on falling while the held-out loss rises and the coefficients spread: every point
# there is as well proved as any other. A certificate is about the optimisation, not about the model.
