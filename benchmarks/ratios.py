"""Ratios of CPU time against other packages, both sides at a certified gap, measured alternately in one process.

    OMP_NUM_THREADS=1 python benchmarks/ratios.py [WORKLOAD ...] [--repeats 5] [--seed 0]

prints one row a workload. A peer runs with the largest of its tolerances 1e-4, 1e-6, ... whose worst certified gap
meets the target; where none does, the row says which gap it reached. In `dense_path_own_tol` the peer has the
tolerance 1e-6, in its own scale, instead. Compilation at run time is paid before the clock starts, except in the
workload `cold_start`, which counts a new process.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from estimand.datasets import make_ill_conditioned_regression, make_sparse_regression, make_text_regression
from estimand.solvers.lasso import LassoProblem

sys.path.insert(0, str(Path(__file__).parent / "lasso"))
from benchmark_utils.paths import run

TOLERANCES = [10.0**-k for k in range(4, 17, 2)]


def workloads(seed):
    """Name -> (data, grid of alpha_max / alpha, our solver, peer, target gap, tolerance of the peer if it is fixed)."""
    hundred, twenty = np.geomspace(1, 100, 100), np.geomspace(1, 100, 20)
    table = {
        "dense_path": (lambda: make_sparse_regression(random_state=seed), hundred, "estimand", "celer", 1e-6, None),
        "dense_path_own_tol": (
            lambda: make_sparse_regression(random_state=seed),
            hundred,
            "estimand",
            "celer",
            1e-6,
            1e-6,
        ),
        "dense_two": (
            lambda: make_sparse_regression(random_state=seed),
            [20.0, 100.0],
            "estimand",
            "skglm_cold",
            1e-6,
            None,
        ),
        "text_path": (
            lambda: make_text_regression(random_state=seed),
            np.geomspace(1, 100, 30),
            "estimand",
            "celer",
            1e-6,
            None,
        ),
    }
    table["glum_path"] = (
        lambda: make_sparse_regression(500, 2000, random_state=seed), twenty, "estimand", "glum", 1e-6, None,
    )  # fmt: skip
    for design in ("walk", "common", "mixture", "rbf"):
        for name, depth in ((design, 1e2), (f"{design}_deep", 1e4)):
            table[name] = (
                lambda design=design: make_ill_conditioned_regression(design, random_state=seed),
                np.geomspace(1, depth, 20),
                "homotopy",
                "lars",
                1e-12,
                None,
            )
    return table


def worst_gap(problem, alphas, coefs):
    certificates = (problem.at(alpha).certify(column, tol=1.0) for alpha, column in zip(alphas, coefs.T, strict=True))
    return max(certificate.relative for certificate in certificates)


def timed(name, problem, alphas, tol):
    start = time.process_time()
    coefs = run(name, problem.A, problem.y, alphas, tol)
    seconds = time.process_time() - start
    return seconds, worst_gap(problem, alphas, coefs)


def sufficient_tolerance(name, problem, alphas, target):
    """Return the largest tolerance with which a solver's certified gap meets the target, or its last one."""
    for tol in TOLERANCES:
        if timed(name, problem, alphas, tol)[1] <= target:
            break
    return tol


def compare(name, workload, repeats):
    make, grid, ours, peer, target, tol = workload
    data = make()
    problem = LassoProblem(A=data.X, y=data.y, alpha=1.0)
    alphas = problem.alpha_max() / np.asarray(grid)
    tol = sufficient_tolerance(peer, problem, alphas, target) if tol is None else tol
    rows = [(timed(ours, problem, alphas, target), timed(peer, problem, alphas, tol)) for _ in range(repeats)]
    ratio = statistics.median(mine[0] / theirs[0] for mine, theirs in rows)
    mine, theirs = (statistics.median(row[side][0] for row in rows) for side in (0, 1))
    gaps = [max(row[side][1] for row in rows) for side in (0, 1)]
    print(
        f"| {name} | {ours} | {mine:.3f} | {gaps[0]:.1e} | {peer} | {theirs:.3f} | {gaps[1]:.1e} | {ratio:.2f} |",
        flush=True,
    )


COLD = """
import time
start = time.perf_counter()
import warnings; warnings.simplefilter("ignore")
import sys; sys.path.insert(0, {folder!r})
from benchmark_utils.paths import run
from estimand.datasets import make_sparse_regression
from estimand.solvers.lasso import LassoProblem
data = make_sparse_regression(random_state={seed})
top = LassoProblem(A=data.X, y=data.y, alpha=1.0).alpha_max()
start = time.perf_counter()
run({name!r}, data.X, data.y, [top / 20, top / 100], 1e-6)
print(time.perf_counter() - start)
"""


def cold_start(seed, repeats):
    """Time two penalties in a new process each, import and compilation of the solver included."""
    folder, seconds = str(Path(__file__).parent / "lasso"), {"estimand": [], "skglm_cold": []}
    for _ in range(repeats):
        for name, times in seconds.items():
            code = COLD.format(folder=folder, seed=seed, name=name)
            times.append(float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    mine, theirs = (statistics.median(times) for times in seconds.values())
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    print(f"| cold_start | estimand | {mine:.3f} | | skglm_cold | {theirs:.3f} | | {ratio:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = workloads(options.seed)
    chosen = options.workloads or [*table, "cold_start"]
    unknown = [name for name in chosen if name not in table and name != "cold_start"]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}: choose from {', '.join([*table, 'cold_start'])}")
    print("| workload | ours | CPU s | gap | peer | CPU s | gap | ratio |\n|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in chosen:
            if name == "cold_start":
                cold_start(options.seed, options.repeats)
            else:
                compare(name, table[name], options.repeats)


if __name__ == "__main__":
    main()
