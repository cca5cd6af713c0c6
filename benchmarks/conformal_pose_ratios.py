"""Ratios of CPU time of conformal prediction and pose bounds against other packages, measured alternately.

    OMP_NUM_THREADS=1 python benchmarks/conformal_pose_ratios.py [WORKLOAD ...] [--repeats 5] [--seed 0] [--instances 5]

prints one row a pair: median CPU seconds of both sides, how their answers compare, the median of the ratios, ours over
theirs, over instances and repeats, and the largest ratio that is good enough. Calls of less than a twentieth of a
second are repeated. Packages that are not installed are left out with a line.

- `regressor`: calibration with 5000 rows and intervals of 5000 others, around the same fitted model.
- `heatmaps`: ellipses of 1000 images with 9 heatmaps of 64 x 64, against NumPy with one full sort a heatmap.
- `ransag`: 1000 random triples of the keypoints of an image, their poses, and which of these are members of its set,
  against loops over minimal solvers with the same test of all their poses; for 10 images.
- `bounds`: both bounds of `--instances` images, to a gap of 0.02 of the squared distances.
- `relaxations`: the moment relaxation of order 2 of the rotation of the first images of these, with the radius that
  `bnb` proves: `moment2` against CVXOPT on its plain statement, and against CVXOPT and SCS through cvxpy on the scaled
  one of `moment2_cvxpy`; and `bnb` against both, to the bound that it reads its proof for.
- `images`: seconds of wall time for the bounds of 200 images in two processes, which are there already.
- `memory`: how far the bounds of one image by `bnb`, and by `moment2`, raise the peak of the resident memory of a new
  process, in which all modules are loaded; the largest of five images. This is what the system counts, whoever
  allocates it; it needs Linux.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
import warnings
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation
from sklearn.datasets import make_regression
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits

from estimand import ConformalKeypointDetector, ConformalPoseEstimator, ConformalRegressor
from estimand.datasets import make_keypoint_pose_dataset
from estimand.solvers import get_solver, list_solvers
from estimand.solvers.pose_bound import PoseBoundProblem
from estimand.solvers.pose_bound.moments import quotient
from estimand.solvers.pose_bound.moments.certificate import pack_blocks, safe_bound
from estimand.solvers.pose_bound.moments.conic import conic_moment_bound
from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation, moment_bounds

sys.path.insert(0, str(Path(__file__).parent / "conformal_pose"))
from benchmark_utils.instances import N_CALIBRATION, heatmap_sets, heatmaps

#: Shorter calls are repeated, in seconds.
SHORT = 0.05
KINDS = ("rotation", "translation")
TOL = 0.02
#: Instances whose relaxations peers solve: each takes CVXOPT many seconds.
RELAXED = 5


def print_row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def timed(run, *arguments):
    """Return the CPU seconds of a call, and what it returns."""
    calls, start = 0, time.process_time()
    while calls == 0 or time.process_time() - start < SHORT:
        result = run(*arguments)
        calls += 1
    return (time.process_time() - start) / calls, result


def compare(workload, sides, instances, pairs, agreement, repeats, warm_up=True):
    """Time all sides in turn on each instance; print a row for each pair of sides that are there.

    `sides` are functions by name, `pairs` the names of two sides with the largest ratio that is good enough, and
    `agreement` says in words how lists of the results of two sides compare.
    """
    seconds, results = {name: [] for name in sides}, {name: [] for name in sides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run in sides.values() if warm_up else ():
            run(instances[0])  # imports do not count
        for instance in instances:
            for repeat in range(repeats):
                for name, run in sides.items():
                    spent, result = timed(run, instance)
                    seconds[name].append(spent)
                    if repeat == 0:
                        results[name].append(result)
    for ours, peer, target in pairs:
        if ours in sides and peer in sides:
            ratio = statistics.median(a / b for a, b in zip(seconds[ours], seconds[peer], strict=True))
            medians = (f"{statistics.median(seconds[name]):.5f}" for name in (ours, peer))
            mine, theirs = zip((ours, peer), medians, strict=True)
            words = agreement(results[ours], results[peer])
            print_row(workload, *mine, *theirs, words, f"{ratio:.4f}", "" if target is None else f"{target:.4f}")


def installed(workload, sides, packages):
    """Return the sides whose packages are installed; say which are left out."""
    for name in [name for name, package in packages.items() if find_spec(package) is None]:
        print_row(workload, "", "", name, "", f"left out: {packages[name]} is not installed", "", "")
        del sides[name]
    return sides


def largest_difference(mine, theirs):
    pairs = [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in zip(mine, theirs, strict=True)]
    return f"largest difference {max(pairs):.1e}"


# Conformal prediction


def regressor(options):
    X, y = make_regression(11_000, 10, noise=10, random_state=options.seed)
    model = LinearRegression().fit(X[:1000], y[:1000])
    calibration, new = (X[1000:6000], y[1000:6000]), X[6000:]

    fitted = ConformalRegressor(model, prefit=True, alpha=0.1).fit(*calibration)

    def fit(_):
        return ConformalRegressor(model, prefit=True, alpha=0.1).fit(*calibration).predict_interval(new)

    def calibrate(_):
        return fitted.calibrate(*calibration).predict_interval(new)

    def crepes(_):
        from crepes import WrapRegressor

        wrapped = WrapRegressor(model)
        wrapped.calibrate(*calibration)
        return wrapped.predict_int(new, confidence=0.9)

    def mapie(_):
        from mapie.regression import SplitConformalRegressor

        wrapped = SplitConformalRegressor(model, confidence_level=0.9, prefit=True)
        return wrapped.conformalize(*calibration).predict_interval(new)[1][:, :, 0]

    sides = {"calibrate": calibrate, "fit, prefit=True": fit, "crepes": crepes, "MAPIE": mapie}
    sides = installed("regressor", sides, {"crepes": "crepes", "MAPIE": "mapie"})
    ours, targets = ("calibrate", "fit, prefit=True"), {"crepes": 1.5, "MAPIE": 1.0}
    pairs = [(name, peer, target) for name in ours for peer, target in targets.items()]
    compare("regressor", sides, [None], pairs, largest_difference, 5 * options.repeats)


def ellipses_by_sorting(heatmaps, quantile, topk=100, step=50):
    """Return centres and precisions, from one full sort of each heatmap."""
    height, width = heatmaps.shape[-2:]
    places = np.stack([np.tile(np.arange(width) + 0.5, height), np.repeat(np.arange(height) + 0.5, width)], axis=1)
    centers, precisions = [], []
    for first in range(0, len(heatmaps), step):
        flat = heatmaps[first : first + step].reshape(-1, height * width)
        order = np.argsort(flat, axis=1)
        heights = np.take_along_axis(flat, order, axis=1)
        heights -= heights[:, :1]
        median = (heights[:, (height * width - 1) // 2] + heights[:, height * width // 2]) / 2
        heights[heights < median[:, None]] = 0
        weights = heights[:, -topk:] / heights[:, -topk:].sum(axis=1, keepdims=True)
        chosen = places[order[:, -topk:]]
        mean = np.einsum("mk,mkd->md", weights, chosen)
        offsets = chosen - mean[:, None]
        centers.append(mean)
        precisions.append(np.linalg.inv(quantile * np.einsum("mk,mki,mkj->mij", weights, offsets, offsets)))
    shape = heatmaps.shape[:2]
    return np.concatenate(centers).reshape(*shape, 2), np.concatenate(precisions).reshape(*shape, 2, 2)


def heatmap_ellipses(options):
    data = make_keypoint_pose_dataset(1000, random_state=options.seed)
    detector = ConformalKeypointDetector(nonconformity="ellipse").fit(data.heatmaps[:200], data.keypoints[:200])

    def ours(X):
        sets = detector.predict_set(X)
        return np.concatenate([sets.centers[..., None], sets.precisions], axis=-1)

    def sorting(X):
        centers, precisions = ellipses_by_sorting(X, detector.quantile_)
        return np.concatenate([centers[..., None], precisions], axis=-1)

    sides = {"predict_set": ours, "NumPy, full sort": sorting}
    pairs = [("predict_set", "NumPy, full sort", 1 / 8)]
    compare("heatmaps", sides, [data.heatmaps], pairs, largest_difference, options.repeats)


# Random members


def perturbed_triples(poses, n, rng):
    """Return random triples of keypoints, and a random point of the ellipse of each, in normalised coordinates."""
    triples = rng.random((n, len(poses.points))).argsort(axis=1)[:, :3]
    direction = rng.standard_normal((n, 3, 2))
    offsets = rng.random((n, 3, 1)) * direction / np.linalg.norm(direction, axis=2, keepdims=True)
    spread = np.linalg.inv(np.linalg.cholesky(poses.precisions)).transpose(0, 2, 1)
    pixels = poses.centers[triples] + np.einsum("nkij,nkj->nki", spread[triples], offsets)
    camera = poses.camera
    return poses.points[triples], (pixels - camera[:2, 2]) @ np.linalg.inv(camera[:2, :2]).T


def with_poselib(poses, n):
    import poselib

    points, seen = perturbed_triples(poses, n, np.random.default_rng(n))
    rays = np.concatenate([seen, np.ones((n, 3, 1))], axis=2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    found = [pose for ray, P in zip(rays, points, strict=True) for pose in poselib.p3p(ray, P)]
    R, t = np.array([pose.R for pose in found]), np.array([pose.t for pose in found])
    inside = poses.cones.contains(R, t)
    return R[inside], t[inside]


def with_opencv(poses, n):
    import cv2

    points, seen = perturbed_triples(poses, n, np.random.default_rng(n))
    identity, turns, shifts = np.eye(3), [], []
    for y, P in zip(seen, points, strict=True):
        _, turn, shift = cv2.solveP3P(P, y, identity, None, flags=cv2.SOLVEPNP_AP3P)
        turns += turn
        shifts += shift
    R, t = Rotation.from_rotvec(np.array(turns)[:, :, 0]).as_matrix(), np.array(shifts)[:, :, 0]
    inside = poses.cones.contains(R, t)
    return R[inside], t[inside]


def ransag(options):
    sets = [poses for poses in heatmap_sets(20, options.seed) if len(poses.members(1000, 0).R)][:10]

    def agreement(mine, theirs):
        counts = (np.mean([len(R) for R, _ in found]) for found in (mine, theirs))
        return "{:.1f} and {:.1f} members".format(*counts)

    sides = {
        "sample(1000)": lambda poses: poses.sample(1000, random_state=0),
        "PoseLib p3p": partial(with_poselib, n=1000),
        "OpenCV solveP3P": partial(with_opencv, n=1000),
    }
    sides = installed("ransag", sides, {"PoseLib p3p": "poselib", "OpenCV solveP3P": "cv2"})
    pairs = [("sample(1000)", "PoseLib p3p", 1 / 5), ("sample(1000)", "OpenCV solveP3P", 1 / 10)]
    compare("ransag", sides, sets, pairs, agreement, options.repeats)


# Bounds


def bounds(options):
    """Print the seconds of both bounds of an image, and of reading their proofs again."""
    seconds, reading, gaps = [], [], []
    for problem in heatmaps(options.instances, options.seed):
        for _ in range(options.repeats):
            taken = again = 0.0
            for kind in KINDS:
                fresh = PoseBoundProblem(cones=problem.cones, R0=problem.R0, t0=problem.t0, kind=kind)
                start = time.process_time()
                solution = get_solver("bnb", fresh).solve(fresh, tol=TOL)
                taken += time.process_time() - start
                start = time.process_time()
                gaps.append(fresh.certify(solution.x, solution.dual, tol=TOL).relative)
                again += time.process_time() - start
            seconds.append(taken)
            reading.append(again)
    proof = f"gap at most {max(gaps):.4f}; {statistics.median(reading):.3f} s of these read the proofs"
    print_row("bounds", "bnb", f"{statistics.median(seconds):.3f}", "", "", proof, "", "")


def relaxation_of(problem):
    """Return the relaxation of order 2 with the radius that branch and bound proves."""
    moved = get_solver("bnb", problem).solve(replace(problem, kind="translation"), tol=TOL)
    return MomentRelaxation(problem.cones, problem.R0, problem.t0, 1.05 * moved.certificate.upper**0.5, problem.kind)


def with_cvxopt(relaxation):
    """Solve a relaxation in the monomials of rotation and translation; return the bound that multipliers prove."""
    import cvxopt

    polynomials = relaxation.polynomials
    f = np.zeros(quotient.N_MOMENTS)
    f[: quotient.N_BASIS] = polynomials.objective[:, 0]
    matrices = [quotient.quadratic_form_map(quotient.N_BASIS)]
    for q, scale in zip(polynomials.localizers[:, :, 0], polynomials.scales, strict=True):
        matrices.append(quotient.localizing_map(q / scale))
    G, h = [], []
    for matrix in matrices:
        n = round(matrix.shape[0] ** 0.5)
        rest = sparse.coo_array(matrix[:, 1:])
        G.append(cvxopt.spmatrix((-rest.data).tolist(), *(each.tolist() for each in rest.coords), rest.shape))
        h.append(cvxopt.matrix(matrix[:, [0]].toarray().reshape(n, n)))
    solution = cvxopt.solvers.sdp(cvxopt.matrix(-f[1:]), Gs=G, hs=h, options={"show_progress": False})
    first, *others = (np.array(block) for block in solution["zs"])
    others = np.array([block / scale for block, scale in zip(others, polynomials.scales, strict=True)])
    return safe_bound(relaxation.cones, relaxation.R0, relaxation.t0, relaxation.max_distance, relaxation.kind,
                      pack_blocks(first, others))  # fmt: skip


def through_cvxpy(relaxation, solver):
    def run(task):
        task.solve(solver=solver)
        return 0

    return conic_moment_bound(relaxation, run)[0].upper


def relaxations(options):
    problems = [problem for problem in heatmaps(options.instances, options.seed) if problem.kind == "rotation"]
    pairs = [(problem, relaxation_of(problem)) for problem in problems[:RELAXED]]

    def branch_and_bound(pair):
        return get_solver("bnb", pair[0]).solve(replace(pair[0]), tol=TOL).certificate.upper

    def ratio_of_bounds(mine, theirs):
        largest = max((a / b) ** 0.5 for a, b in zip(mine, theirs, strict=True))
        return f"our bound on the distance is at most {largest:.4f} times theirs"

    sides = {
        "bnb": branch_and_bound,
        "moment2": lambda pair: list(moment_bounds(pair[1]))[-1].upper,
        "CVXOPT": lambda pair: with_cvxopt(pair[1]),
        "CVXOPT, scaled": lambda pair: through_cvxpy(pair[1], "CVXOPT"),
        "SCS, scaled": lambda pair: through_cvxpy(pair[1], "SCS"),
    }
    sides = installed("relaxations", sides, {"CVXOPT": "cvxopt", "CVXOPT, scaled": "cvxopt"})
    targets = [("moment2", "CVXOPT", 1 / 8), ("moment2", "CVXOPT, scaled", None), ("moment2", "SCS, scaled", None)]
    targets += [("bnb", "CVXOPT", 1 / 100), ("bnb", "moment2", 1 / 8)]
    compare("relaxations", sides, pairs, targets, ratio_of_bounds, 1)


def calibrated(options, n_images, **settings):
    """Return a calibrated estimator, and the heatmaps of other images with their maps."""
    data = make_keypoint_pose_dataset(N_CALIBRATION + n_images, random_state=options.seed)
    estimator = ConformalPoseEstimator(data.points, data.camera, tol=TOL, random_state=options.seed, **settings)
    estimator.fit(data.heatmaps[:N_CALIBRATION], data.keypoints[:N_CALIBRATION])
    return estimator, data.heatmaps[N_CALIBRATION:], data.affine[N_CALIBRATION:]


def images(options):
    estimator, X, affine = calibrated(options, 200, n_jobs=2)
    estimator.predict_bounds(X[:4], affine=affine[:4])  # the processes start
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some sets are empty
        estimator.predict_bounds(X, affine=affine)
    print_row("images", "200, n_jobs=2", f"{time.perf_counter() - start:.2f}", "", "", "seconds of wall time", "", "60")


def peak_memory():
    """Return the largest resident size of this process so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def added_memory(estimator, X, affine):
    list_solvers("pose_bound")  # loads them
    estimator.predict(X, affine=affine)
    before = peak_memory()
    estimator.predict_bounds(X, affine=affine)
    return peak_memory() - before


def memory(options):
    if not Path("/proc/self/status").exists():
        print_row("memory", "", "", "", "", "left out: this system has no /proc/self/status", "", "")
        return
    for backend, target in (("bnb", "60"), ("moment2", "200")):
        estimator, X, affine = calibrated(options, 5, solver=backend)
        tasks = [(estimator, X[i : i + 1], affine[i : i + 1]) for i in range(len(X))]
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            added = max(pool.starmap(added_memory, tasks, chunksize=1))
        print_row("memory", f"predict_bounds, {backend}", "", "", "", f"{added:.1f} MB added", "", target)


WORKLOADS = {
    "regressor": regressor,
    "heatmaps": heatmap_ellipses,
    "ransag": ransag,
    "bounds": bounds,
    "relaxations": relaxations,
    "images": images,
    "memory": memory,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--instances", type=int, default=5, help="images whose bounds are compared")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}: choose from {', '.join(WORKLOADS)}")
    print_row("workload", "ours", "s", "peer", "s", "answers", "ratio", "target")
    print("|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in options.workloads or WORKLOADS:
            WORKLOADS[name](options)


if __name__ == "__main__":
    main()
