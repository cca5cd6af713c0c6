"""Ratios of CPU time of PRESTO and proportional odds against other packages, measured alternately in one process.

    OMP_NUM_THREADS=1 python benchmarks/presto_ratios.py [WORKLOAD ...] [--repeats 5] [--seed 0]

prints one row a pair. Ours has the tolerance 1e-6. A peer runs with the largest of its tolerances 1e-4, 1e-5, ... with
which the relative residual of its points, computed by our problem, meets 1e-6; where none does, the row says which
residual it reached. Imports, and compilation at run time, are paid before the clock starts. The last column holds the
largest ratio that is good enough. The last workloads compare ours with itself: seconds per penalty for ten times as
many rows, peak memory of a path relative to the features, wall time of two jobs relative to one.
"""

import argparse
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from estimand import PrestoClassifierCV, ProportionalOddsClassifier, presto_path

sys.path.insert(0, str(Path(__file__).parent / "presto"))
from benchmark_utils import designs, paths

TARGET = 1e-6
TOLERANCES = [10.0**-k for k in range(4, 15)]
#: Shorter calls are repeated, in seconds.
SHORT = 0.1
MILLION = 1_000_000


@dataclass
class Side:
    """What is timed: a function ``(problem, alphas, tol) -> points``, as in `paths`."""

    name: str
    problem: Any
    alphas: Any
    path: Callable
    tol: float | None = None  # None: the largest of `TOLERANCES` that is small enough
    fit_intercept: bool = True
    clock: Callable = time.process_time
    parts: int = 1  # what the seconds are divided by

    def judge(self, points):
        return paths.worst(self.problem, self.alphas, points, self.fit_intercept)[0]

    def run(self):
        """Return the seconds of one call, and the residual of what it returns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the residual says whether it converged
            calls, start = 0, self.clock()
            while calls == 0 or self.clock() - start < SHORT:
                points = self.path(self.problem, self.alphas, self.tol)
                calls += 1
            seconds = (self.clock() - start) / calls
        return seconds / self.parts, self.judge(points)

    def prepare(self):
        """Import and compile; choose the tolerance."""
        for tol in TOLERANCES if self.tol is None else [self.tol]:
            self.tol = tol
            if self.run()[1] <= TARGET:
                break


class Tuned(Side):
    """A penalty chosen by cross-validation: what is returned is the classifier."""

    def judge(self, model):
        return paths.worst(self.problem, [model.alpha_], [model.solution_.x])[0]


def fit_odds(problem, alphas, tol):
    return [ProportionalOddsClassifier(tol=tol).fit(problem.X, problem.y).solution_.x]


def fit_path(problem, alphas, tol):
    return [solution.x for solution in presto_path(problem.X, problem.y, alphas=alphas, tol=tol).solutions]


def fit_cross_validation(n_jobs):
    def fit(problem, alphas, tol):
        return PrestoClassifierCV(alphas=alphas, tol=tol, n_jobs=n_jobs, random_state=0).fit(problem.X, problem.y)

    return fit


def our_odds(problem):
    return Side("ProportionalOddsClassifier", problem, [0.0], fit_odds, TARGET)


def our_path(problem, name="presto_path", **options):
    return Side(name, problem, paths.grid(problem), fit_path, TARGET, **options)


def our_choice(problem, n_jobs=1, **options):
    name = f"PrestoClassifierCV(n_jobs={n_jobs})"
    return Tuned(name, problem, paths.grid(problem), fit_cross_validation(n_jobs), TARGET, **options)


def statsmodels(problem, covariance=False):
    """Return statsmodels' proportional odds; ours computes the covariance, too."""
    name = "statsmodels" + ", with covariance" * covariance
    return Side(name, problem, [0.0], partial(paths.statsmodels, covariance=covariance))


def mord(problem):
    return Side("mord", problem, [0.0], paths.mord, np.nan)


def problem_of(model, data):
    X, y = data if isinstance(data, tuple) else (data.X, data.y)
    return paths.make_problem(model, designs.standardised(X), y)


def odds_small(seed):
    problem = problem_of("proportional_odds", designs.simulated("sparse 1/3, (0, 3, 5)", seed))
    return our_odds(problem), [(statsmodels(problem, covariance=True), 1 / 40), (mord(problem), 1 / 20)]


def odds_tall(seed):
    data = designs.tall(seed)
    problem = problem_of("proportional_odds", data)
    rare = paths.make_problem("binary", problem.X, np.where(data.y == data.y.max(), 1, 0))
    sklearn = Side("scikit-learn, rare class", rare, [0.0], paths.sklearn)
    return our_odds(problem), [(statsmodels(problem, covariance=True), 1 / 40), (mord(problem), 1.0), (sklearn, 4.0)]


def path_small(seed):
    data = designs.simulated("sparse 1/3, (0, 3, 5)", seed)
    return our_path(problem_of("presto", data)), [(statsmodels(problem_of("proportional_odds", data)), 0.4)]


def choice_small(seed):
    problem = problem_of("presto", designs.simulated("sparse 1/3, (0, 3, 5)", seed))
    return our_choice(problem), [(our_path(problem), None)]


def binary_peers(problem, targets):
    alphas = paths.grid(problem)
    celer = Side("celer, two classes", problem, alphas, paths.celer, fit_intercept=False)
    return zip((celer, Side("skglm, two classes", problem, alphas, paths.skglm)), targets, strict=True)


def path_wide(seed):
    data = designs.wide(seed)
    return our_path(problem_of("presto", data)), binary_peers(problem_of("binary", data), (1.7, 4.0))


def path_wide_binary(seed):
    problem = problem_of("binary", designs.wide(seed))
    return our_path(problem, "presto_path, two classes"), binary_peers(problem, (None, 0.6))


def path_tall(seed):
    peer = statsmodels(problem_of("proportional_odds", designs.tall(seed)))
    return our_path(problem_of("presto", designs.tall_sparse(seed))), [(peer, 0.4)]


def many_rows(seed, n_samples):
    return designs.tall_sparse(seed, n_samples, n_features=20, intercepts=(0, 3, 6))


def rows(n_samples):
    """Compare the time per penalty for as many rows with that for a tenth of them."""

    def sides(seed):
        problems = [problem_of("presto", many_rows(seed, n)) for n in (n_samples, n_samples // 10)]
        more, fewer = (our_path(p, f"a penalty, {p.y.size} rows", parts=20) for p in problems)
        return more, [(fewer, 10.0)]

    return sides


def jobs(data):
    def sides(seed):
        problem = problem_of("presto", data(seed))
        two, one = (our_choice(problem, n_jobs, clock=time.perf_counter) for n_jobs in (2, 1))
        return two, [(one, None)]

    return sides


WORKLOADS = {
    "odds_small": odds_small,
    "odds_tall": odds_tall,
    "path_small": path_small,
    "choice_small": choice_small,
    "path_wide": path_wide,
    "path_wide_binary": path_wide_binary,
    "path_tall": path_tall,
    "rows_1e5": rows(MILLION // 10),
    "rows_1e6": rows(MILLION),
    "jobs_small": jobs(lambda seed: designs.simulated("sparse 1/3, (0, 3, 5)", seed)),
    "jobs_tall": jobs(designs.tall_sparse),
}


def print_row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def ready(name, ours, peer):
    """Prepare a peer; if it is not installed, say so in its row."""
    try:
        peer.prepare()
    except ImportError:
        print_row(name, ours.name, "", "", f"{peer.name} is not installed", "", "", "", "")
        return False
    return True


def compare(name, seed, repeats):
    """Time both sides in turn, and print a row for each peer."""
    ours, peers = WORKLOADS[name](seed)
    peers = [(peer, target) for peer, target in peers if ready(name, ours, peer)]
    sides = [ours, *(peer for peer, _ in peers)]
    ours.prepare()
    runs = [[side.run() for side in sides] for _ in range(repeats)]
    seconds = [statistics.median(run[k][0] for run in runs) for k in range(len(sides))]
    residuals = [max(run[k][1] for run in runs) for k in range(len(sides))]
    for k, (peer, target) in enumerate(peers, start=1):
        ratio = statistics.median(run[0][0] / run[k][0] for run in runs)
        mine = name, ours.name, f"{seconds[0]:.4f}", f"{residuals[0]:.1e}"
        theirs = peer.name, f"{seconds[k]:.4f}", f"{residuals[k]:.1e}"
        print_row(*mine, *theirs, f"{ratio:.3f}", "" if target is None else f"{target:.3f}")


def memory(seed):
    """Print the peak of what a path allocates, over the bytes of the features, and what the formula allows."""
    data = many_rows(seed, MILLION)
    n, p = data.X.shape
    m = int(data.y.max())
    tracemalloc.start()
    presto_path(data.X, data.y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    allowed = 8 * n * (p + 4 * m) + 8 * (p * m + m) ** 2
    ratio, target = peak / data.X.nbytes, allowed / data.X.nbytes
    print_row("memory", f"presto_path, {n} rows", "", "", "bytes of X", "", "", f"{ratio:.3f}", f"{target:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [*WORKLOADS, "memory"]
    unknown = [name for name in options.workloads if name not in names]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}: choose from {', '.join(names)}")
    print_row("workload", "ours", "CPU s", "kkt", "peer", "CPU s", "kkt", "ratio", "target")
    print("|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in options.workloads or names:
            if name == "memory":
                memory(options.seed)
            else:
                compare(name, options.seed, options.repeats)


if __name__ == "__main__":
    main()
