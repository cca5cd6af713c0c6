"""Ratios of time of sparse coding and dictionary learning against other packages, measured in one process.

    OMP_NUM_THREADS=1 python benchmarks/sparse_coding_ratios.py [WORKLOAD ...] [--repeats 3] [--seed 0]
                                                                [--signals 20000]

prints one row a pair, timed in turn: seconds of both sides, the relative excess of their objectives over the best known
one (or the objectives), the median of the ratios of time, ours over theirs, and the largest ratio that is good enough.
Signals are whitened patches of the photographs that scikit-learn ships, the dictionary other patches of them; the
strengths leave 12 to 30 atoms in use. All run in one thread, but `threads`, which compares two of ours with one.
"""

import argparse
import statistics
import time
import warnings
from functools import partial

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.decomposition import sparse_encode as sklearn_encode
from sklearn.linear_model import orthogonal_mp_gram
from threadpoolctl import threadpool_limits

from estimand import LqDictionaryLearning, PenalizedSparseCoder, get_solver
from estimand.datasets import extract_whitened_patches
from estimand.penalties import L0, L1, MCP, Lq
from estimand.solvers.sparse_approximation import SparseApproximationProblem
from estimand.solvers.sparse_coding import SparseCodingProblem

#: Size of the patches, atoms, l1 strength.
SIZES = {"8x8, K=128": (8, 128, 0.2), "12x12, K=288": (12, 288, 0.3), "16x16, K=512": (16, 512, 0.4),
         "8x8, K=256": (8, 256, 0.2), "12x12, K=576": (12, 576, 0.3)}  # fmt: skip
SLOW = 4000  # signals for peers that take minutes
ATOMS = 10


def print_row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def seconds(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def pair(workload, ours, peers, value, best, repeats):
    """Time ours and each peer in turn; `value` judges what they return against the best known value."""
    (our_name, our_run), rows = ours, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the excess says whether it converged
        runs = [[seconds(run) for run in [our_run, *(run for _, run, _ in peers)]] for _ in range(repeats)]
    values = [value(result) for _, result in runs[0]]
    excess = [f"{each / best - 1:.1e}" if best else f"{each:.4f}" for each in values]
    times = [statistics.median(run[k][0] for run in runs) for k in range(len(runs[0]))]
    for k, (name, _, target) in enumerate(peers, start=1):
        ratio = statistics.median(run[0][0] / run[k][0] for run in runs)
        rows.append((workload, our_name, f"{times[0]:.3f}", excess[0], name, f"{times[k]:.3f}", excess[k],
                     f"{ratio:.3f}", "" if target is None else f"{target:.3f}"))  # fmt: skip
    for row in rows:
        print_row(*row)


def patches(size, n_atoms, n_signals, seed):
    X = extract_whitened_patches(load_sample_images().images, n_signals + n_atoms, size, random_state=seed)
    D = X[n_signals:]
    return np.ascontiguousarray(X[:n_signals]), D / np.linalg.norm(D, axis=1, keepdims=True)


def ours(problem, backend, tol, n_jobs=1):
    return get_solver(backend, problem, n_jobs=n_jobs).solve(problem, tol=tol).x


def spams_lasso(X, D, alpha):
    import spams

    codes = spams.lasso(np.asfortranarray(X.T), np.asfortranarray(D.T), lambda1=alpha, mode=2, numThreads=1)
    return codes.toarray().T


def spams_omp(X, D, k):
    import spams

    return spams.omp(np.asfortranarray(X.T), np.asfortranarray(D.T), L=k, numThreads=1).toarray().T


def l1(options):
    for name, (size, n_atoms, alpha) in SIZES.items():
        X, D = patches(size, n_atoms, options.signals, options.seed)
        problem = SparseCodingProblem(X=X, D=D, penalty=L1(alpha))
        best = problem.objective(ours(problem, "working_set_cd", 1e-11))
        peers = [("SPAMS lasso", partial(spams_lasso, X, D, alpha), 1.0 if n_atoms < 512 else 0.5)]
        run = ("homotopy", partial(ours, problem, "homotopy", 1e-6))
        pair(f"l1, {name}", run, peers, problem.objective, best, options.repeats)


def l1_scikit_learn(options):
    for name in ("8x8, K=128", "12x12, K=288", "16x16, K=512"):
        size, n_atoms, alpha = SIZES[name]
        X, D = patches(size, n_atoms, min(SLOW, options.signals), options.seed)
        problem = SparseCodingProblem(X=X, D=D, penalty=L1(alpha))
        best = problem.objective(ours(problem, "working_set_cd", 1e-11))
        peers = [
            (f"scikit-learn {algorithm}", partial(sklearn_encode, X, D, algorithm=algorithm, alpha=alpha), target)
            for algorithm, target in (("lasso_cd", 1 / 3), ("lasso_lars", 1 / 25))
        ]
        run = ("homotopy", partial(ours, problem, "homotopy", 1e-6))
        pair(f"l1, {name}", run, peers, problem.objective, best, 1)


def nonconvex(options):
    for name in ("12x12, K=288", "16x16, K=512"):
        size, n_atoms, alpha = SIZES[name]
        X, D = patches(size, n_atoms, options.signals, options.seed)
        reference = SparseCodingProblem(X=X, D=D, penalty=L1(alpha))
        for penalty in (L0(0.4 * alpha), Lq(2 * alpha / 3, 0.5), MCP(alpha, 3.0)):
            problem = SparseCodingProblem(X=X, D=D, penalty=penalty)
            for backend, target in (("working_set_cd", 1.5), ("graduated", 5.0)):
                peer = ("l1, working_set_cd", partial(ours, reference, "working_set_cd", 1e-6), target)
                run = (f"{type(penalty).__name__}, {backend}", partial(ours, problem, backend, 1e-6))
                pair(f"penalties, {name}", run, [peer], lambda x: 0.0, None, options.repeats)


def pursuit(options):
    size, n_atoms, _ = SIZES["12x12, K=288"]
    X, D = patches(size, n_atoms, options.signals, options.seed)
    problem = SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=ATOMS)
    gram, correlation = D @ D.T, X @ D.T
    peers = [
        ("SPAMS omp", partial(spams_omp, X, D, ATOMS), 1 / 0.8),
        ("scikit-learn omp", lambda: orthogonal_mp_gram(gram, correlation.T, n_nonzero_coefs=ATOMS).T, 1 / 10),
    ]
    run = ("omp", partial(ours, problem, "omp", 1e-6))
    pair(f"{ATOMS} atoms, 12x12, K=288", run, peers, problem.objective, None, options.repeats)


def threads(options):
    size, n_atoms, alpha = SIZES["12x12, K=288"]
    X, D = patches(size, n_atoms, options.signals, options.seed)

    def limited(problem, backend, n_jobs):
        with threadpool_limits(n_jobs):
            return ours(problem, backend, 1e-6, n_jobs)

    for penalty, backend in ((L1(alpha), "homotopy"), (L0(0.4 * alpha), "graduated")):
        problem = SparseCodingProblem(X=X, D=D, penalty=penalty)
        run = (f"{backend}, two threads", partial(limited, problem, backend, 2))
        peer = (f"{backend}, one thread", partial(limited, problem, backend, 1), 1 / (2 * 0.85))
        pair("threads, 12x12, K=288", run, [peer], lambda x: 0.0, None, options.repeats)


def learning(options):
    """Compare dictionaries by the objective of patches that they were not learned from."""
    import spams

    for name in ("8x8, K=128", "12x12, K=288"):
        size, n_atoms, alpha = SIZES[name]
        images = load_sample_images().images
        X = extract_whitened_patches(images, options.signals + 2000, size, random_state=options.seed)
        train, held = np.ascontiguousarray(X[:-2000]), X[-2000:]
        steps = -(-len(train) // 256)

        def score(D, alpha=alpha, held=held):
            D = D / np.linalg.norm(D, axis=1, keepdims=True)
            return -PenalizedSparseCoder(D, alpha=alpha, n_jobs=1).score(held)

        def online(passes, train=train, n_atoms=n_atoms, alpha=alpha):
            settings = {"penalty": "l1", "alpha": alpha, "max_iter": passes, "tol": 0, "random_state": 0, "n_jobs": 1}
            return LqDictionaryLearning(n_atoms, **settings).fit(train).components_

        def sklearn(passes, train=train, n_atoms=n_atoms, alpha=alpha):
            model = MiniBatchDictionaryLearning(
                n_atoms, alpha=alpha, batch_size=256, max_iter=passes, tol=0, max_no_improvement=None,
                fit_algorithm="cd", random_state=0,
            )  # fmt: skip
            return model.fit(train).components_

        def trained(passes, train=train, n_atoms=n_atoms, alpha=alpha, steps=steps):
            D = spams.trainDL(np.asfortranarray(train.T), K=n_atoms, lambda1=alpha, mode=2, iter=passes * steps,
                              batchsize=256, numThreads=1, verbose=False)  # fmt: skip
            return D.T

        peers = [("MiniBatchDictionaryLearning, 2 passes", partial(sklearn, 2), 1 / 5),
                 ("SPAMS trainDL, 1 pass", partial(trained, 1), 1 / 0.7)]  # fmt: skip
        run = ("LqDictionaryLearning, 1 pass", partial(online, 1))
        pair(f"learning, {name}", run, peers, score, None, options.repeats)


WORKLOADS = {
    "l1": l1,
    "l1_scikit_learn": l1_scikit_learn,
    "nonconvex": nonconvex,
    "pursuit": pursuit,
    "threads": threads,
    "learning": learning,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", type=int, default=20_000)
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}: choose from {', '.join(WORKLOADS)}")
    print_row("workload", "ours", "s", "excess or objective", "peer", "s", "excess or objective", "ratio", "target")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.workloads or WORKLOADS:
        with threadpool_limits(2 if name == "threads" else 1):
            WORKLOADS[name](options)


if __name__ == "__main__":
    main()
