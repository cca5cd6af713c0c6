"""How well PRESTO estimates the probability of a rare class: the simulations of Faletto and Bien (2023).

    OMP_NUM_THREADS=1 python benchmarks/presto_statistics.py [--replicates 50] [--seed 2026] [--n-jobs 1]

draws samples of 2500 rows from the ten designs of their sections 4.1 and 4.2 and compares

- `brier`, `log_loss`: PRESTO, its penalty chosen among 20, down to a hundredth of the largest, by that loss over all
  classes in five stratified folds;
- `ridge`: `brier` with ``l1_ratio=0`` (and, with `--methods`, `free_base` with ``base_penalty=0``);
- `logit`: the logistic regression of the rare class against the others, without a penalty;
- `ridge_logit`: the same with a squared penalty, chosen among 20 by the Brier score in five stratified folds;
- `odds`: proportional odds without a penalty;

by the mean squared error of the probability of the rare class at the rows of the sample. The tables hold medians over
the replicates, and how often PRESTO is the better one. Fits that fail, of separated classes for example, are counted:
their errors stay in the medians if there is a fit at all, and count as infinite otherwise.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from estimand import PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier

sys.path.insert(0, str(Path(__file__).parent / "presto"))
from benchmark_utils.designs import SIMULATIONS, simulated


class RidgeLogit:
    """Scikit-learn's logistic regression of the last class against the others, its penalty chosen."""

    def __init__(self, seed):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        logit = LogisticRegressionCV(
            Cs=20, l1_ratios=(0.0,), cv=folds, scoring="neg_brier_score", solver="newton-cholesky",
            use_legacy_attributes=False,
        )  # fmt: skip
        self.model = make_pipeline(StandardScaler(), logit)

    def fit(self, X, y):
        self.model.fit(X, y == y.max())
        return self

    def predict_rare_proba(self, X):
        return self.model.predict_proba(X)[:, 1]


METHODS = {
    "brier": lambda seed: PrestoClassifierCV(random_state=seed),
    "log_loss": lambda seed: PrestoClassifierCV(scoring="log_loss", random_state=seed),
    "ridge": lambda seed: PrestoClassifierCV(l1_ratio=0.0, random_state=seed),
    "free_base": lambda seed: PrestoClassifierCV(base_penalty=0.0, random_state=seed),
    "logit": lambda seed: SeparateLogitClassifier(boundaries="rare"),
    "ridge_logit": RidgeLogit,
    "odds": lambda seed: ProportionalOddsClassifier(),
}
DEFAULT = ["brier", "log_loss", "ridge"]
RIVALS = ["logit", "ridge_logit", "odds"]
#: What the geometric means of the median ratios were when the method was reproduced, and by which factor they may vary.
EXPECTED = {"logit": (0.45, 1.2), "odds": (0.73, 1.1)}
LEAST_BELOW_ONE = 18


def replicate(design, name, number, seed, methods):
    """Return the share of the rare class in one sample, and of each method its error, and whether the fit failed."""
    data_seed, fold_seed = (int(s) for s in np.random.SeedSequence([seed, design, number]).generate_state(2))
    data = simulated(name, data_seed)
    truth = data.probabilities[:, -1]
    errors, failures = {}, {}
    for method in methods:
        with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
            warnings.simplefilter("always")
            try:
                model = METHODS[method](fold_seed).fit(data.X, data.y)
                errors[method] = float(np.mean((model.predict_rare_proba(data.X) - truth) ** 2))
            except ValueError:  # the rare class is missing from the training part of a fold
                errors[method] = np.inf
        warned = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        failures[method] = warned or not np.isfinite(errors[method])
    return np.mean(data.y == data.y.max()), errors, failures


def print_row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def print_header(*cells):
    print_row(*cells)
    print("|---" * len(cells) + "|")


def print_ratios(method, rivals, errors, shares):
    """Print the median ratios and the wins of a method in each design; return the ratios, designs by rivals."""
    ratios = np.array([[each[method] / each[rival] for rival in rivals] for each in errors])
    medians, wins = np.median(ratios, axis=2), np.mean(ratios < 1, axis=2)
    names = [f"{method} / {rival}" for rival in rivals]
    print_header("design", "rare %", *names, *(f"{method} better than {rival}" for rival in rivals))
    for name, share, median, win in zip(shares, shares.values(), medians, wins, strict=True):
        print_row(name, f"{100 * share:.2f}", *(f"{value:.2f}" for value in median), *(f"{100 * w:.0f}%" for w in win))
    means = np.exp(np.mean(np.log(medians), axis=0))
    print_row("geometric mean", "", *(f"{value:.3f}" for value in means), *("" for _ in rivals))
    print()
    return dict(zip(rivals, medians.T, strict=True)), dict(zip(rivals, means, strict=True))


def print_acceptance(medians, means):
    """Say whether the simulations of the paper were reproduced."""
    accepted, words = True, []
    for rival, (expected, factor) in EXPECTED.items():
        low, high = expected / factor, expected * factor
        accepted &= low <= means[rival] <= high
        words.append(f"geometric mean to {rival} {means[rival]:.3f}, to lie in [{low:.3f}, {high:.3f}]")
    compared = np.concatenate([medians[rival] for rival in EXPECTED])
    below = int(np.sum(compared < 1))
    accepted &= below >= LEAST_BELOW_ONE
    words.append(f"{below} of {compared.size} medians below 1, to be at least {LEAST_BELOW_ONE}")
    print(f"{'accepted' if accepted else 'NOT ACCEPTED'}: {'; '.join(words)}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--n-jobs", type=int, default=1, help="processes")
    parser.add_argument("--designs", nargs="+", choices=list(SIMULATIONS), default=list(SIMULATIONS), metavar="DESIGN")
    parser.add_argument("--methods", nargs="+", choices=[m for m in METHODS if m not in RIVALS], default=DEFAULT)
    options = parser.parse_args()
    methods, places = [*options.methods, *RIVALS], {name: place for place, name in enumerate(SIMULATIONS)}
    start = time.perf_counter()
    tasks = [(places[name], name, number) for name in options.designs for number in range(options.replicates)]
    results = Parallel(n_jobs=options.n_jobs)(delayed(replicate)(*task, options.seed, methods) for task in tasks)
    seconds = time.perf_counter() - start

    groups = [results[k : k + options.replicates] for k in range(0, len(results), options.replicates)]
    errors = [{m: np.array([each[1][m] for each in group]) for m in methods} for group in groups]
    shares = {name: np.mean([each[0] for each in group]) for name, group in zip(options.designs, groups, strict=True)}
    for method in options.methods:
        medians, means = print_ratios(method, RIVALS, errors, shares)
        if method == "brier" and len(options.designs) == len(SIMULATIONS):
            print_acceptance(medians, means)
    print_header("design", *(f"{m}, median error" for m in methods), *(f"{m}, failed fits" for m in methods))
    for name, group, error in zip(options.designs, groups, errors, strict=True):
        failed = [sum(each[2][m] for each in group) for m in methods]
        print_row(name, *(f"{np.median(error[m]):.2e}" for m in methods), *(str(count) for count in failed))
    print(f"\n{options.replicates} replicates, seed {options.seed}, {seconds:.0f} s in {options.n_jobs} processes")


if __name__ == "__main__":
    main()
