"""How often calibrated sets hold what they promise, and how far poses are off: a simulation of keypoint heatmaps.

    OMP_NUM_THREADS=1 python benchmarks/conformal_pose_statistics.py [--images 2000] [--seed 2026] [--n-jobs 1]
        [--objects 9 ...] [--nonconformity ball ...] [--alphas 0.1 0.4 ...] [--pool 4000] [--splits 2000]

follows the protocol of Yang and Pavone (2023), 200 calibration images an object, with the heatmaps that
`make_keypoint_pose_dataset` draws. Three tables:

- coverage: the share of images all of whose keypoints are in their sets, for random splits of a pool into 200 images
  for calibration and 1000 others. Whatever the scores are, if there are no ties the number of covered images has a
  beta-binomial law; z is the difference between the mean and the exact one, over its standard error.
- bounds: over other images, in blocks of 100 that have calibration images of their own: how often all keypoints are in
  their sets, and at how many images that differs from the true pose being in its set; how often the bounds hold, and at
  how many covered images they do not; what they are. Unbounded sets have the bounds 180 degrees and infinity, empty
  ones none. Nothing may differ, and nothing be violated.
- poses: the errors of the average pose, and of `solvePnPRansac` of OpenCV and `estimate_absolute_pose` of PoseLib for
  the peaks of the heatmaps, both with the threshold 8 px, where these packages are installed. ADD is the mean distance
  of the keypoints in space, 2D that of their projections; the diameter is the diagonal of the object's box.

Quantiles are over images. Seconds are of CPU, heatmaps included.
"""

import argparse
import time
import warnings
from importlib.util import find_spec

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import betabinom
from threadpoolctl import threadpool_limits

from estimand import (
    ConformalKeypointDetector,
    ConformalPoseEstimator,
    conformal_quantile,
    heatmap_peaks,
    rotation_angle,
)
from estimand.datasets import make_keypoint_pose_dataset

N_CALIBRATION = 200
N_TEST = 1000
LEVELS = (0.05, 0.1, 0.2, 0.4)
#: Images whose heatmaps are in memory at a time, besides those for calibration.
BLOCK = 100
#: Pixels beyond which robust estimators take a keypoint for an outlier; the default of OpenCV.
THRESHOLD = 8.0
#: Standard deviations, between which and the exact value all measured ones have to be.
ALLOWED = 4.0


def print_row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_header(*cells):
    print_row(*cells)
    print("|---" * len(cells) + "|")


def blocks(n_images, size=BLOCK):
    return [min(size, n_images - first) for first in range(0, n_images, size)]


def child_seeds(*path):
    return [int(seed) for seed in np.random.SeedSequence(path).generate_state(2)]


# Coverage


def image_scores(object_id, n_images, seed, nonconformity):
    """Return the nonconformity of as many new images, for each kind of it; it does not depend on the calibration."""
    data = make_keypoint_pose_dataset(n_images, object_id=object_id, random_state=seed)
    detectors = [ConformalKeypointDetector(nonconformity=kind, alpha=0.5) for kind in nonconformity]
    return [detector.fit(data.heatmaps, data.keypoints).score_samples(data.heatmaps, data.keypoints)
            for detector in detectors]  # fmt: skip


def exact_law(alpha, n_test):
    """Return the law of the number of covered images among `n_test`."""
    j = int(np.floor((N_CALIBRATION + 1) * alpha + 1e-9))
    return betabinom(n_test, N_CALIBRATION + 1 - j, j)


def covered_shares(scores, alpha, n_splits, rng):
    """Return the shares of covered images in random splits of a pool."""
    shares = np.empty(n_splits)
    for split in range(n_splits):
        drawn = rng.permutation(scores)[: N_CALIBRATION + N_TEST]
        shares[split] = np.mean(drawn[N_CALIBRATION:] <= conformal_quantile(drawn[:N_CALIBRATION], alpha))
    return shares


def coverage(options, parallel):
    """Print the first table; return whether all means agree with the exact ones."""
    print_header("object", "sets", "alpha", "exact", "mean", "sd", "exact sd", "z")
    agree = True
    for object_id in options.objects:
        sizes = blocks(options.pool, 250)
        tasks = [(object_id, size, child_seeds(options.seed, object_id, 0, i)[0]) for i, size in enumerate(sizes)]
        found = parallel(delayed(image_scores)(*task, options.nonconformity) for task in tasks)
        for place, kind in enumerate(options.nonconformity):
            scores = np.concatenate([block[place] for block in found])
            for alpha in LEVELS:
                rng = np.random.default_rng([options.seed, object_id, 1])
                shares, law = covered_shares(scores, alpha, options.splits, rng), exact_law(alpha, N_TEST)
                exact, sd = law.mean() / N_TEST, law.std() / N_TEST
                z = (shares.mean() - exact) / (sd / np.sqrt(options.splits))
                agree &= bool(abs(z) <= ALLOWED)
                figures = exact, shares.mean(), shares.std(), sd
                print_row(object_id, kind, alpha, *(f"{value:.4f}" for value in figures), f"{z:+.1f}")
    return agree


# Poses and bounds


def solve_pnp_ransac(points, pixels, camera):
    import cv2

    found, turn, t, _ = cv2.solvePnPRansac(points, pixels, camera, None, reprojectionError=THRESHOLD)
    return (cv2.Rodrigues(turn)[0], t[:, 0]) if found else None


def estimate_absolute_pose(points, pixels, camera):
    import poselib

    parameters = [camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]]
    described = {"model": "PINHOLE", "width": 640, "height": 480, "params": parameters}
    pose, found = poselib.estimate_absolute_pose(pixels, points, described, {"max_reproj_error": THRESHOLD}, {})
    return (pose.R, pose.t) if found["num_inliers"] else None


#: The package and the function of other estimates from peaks.
PEERS = {"OpenCV solvePnPRansac": ("cv2", solve_pnp_ransac), "PoseLib": ("poselib", estimate_absolute_pose)}


def errors(data, poses):
    """Return errors of poses (n, 3, 4), of shape (n, 4): degrees, metres, ADD in metres, pixels; inf for NaN."""
    truth = data.poses
    seen = [data.points @ each[:, :, :3].transpose(0, 2, 1) + each[:, None, :, 3] for each in (poses, truth)]
    pixels = [(points @ data.camera.T)[..., :2] / points[..., 2:] for points in seen]
    found = [
        rotation_angle(poses[:, :, :3], truth[:, :, :3]),
        np.linalg.norm(poses[:, :, 3] - truth[:, :, 3], axis=1),
        np.linalg.norm(seen[0] - seen[1], axis=2).mean(axis=1),
        np.linalg.norm(pixels[0] - pixels[1], axis=2).mean(axis=1),
    ]
    return np.nan_to_num(np.column_stack(found), nan=np.inf)


def peer_poses(data, solve):
    """Return poses from the peaks of heatmaps, NaN where there is none, and CPU seconds."""
    start = time.process_time()
    peaks, _ = heatmap_peaks(data.heatmaps)
    A, b = data.affine[:, :, :2], data.affine[:, :, 2]
    pixels = np.linalg.solve(A[:, None], (peaks - b[:, None])[..., None])[..., 0]
    poses = np.full((len(pixels), 3, 4), np.nan)
    for pose, each in zip(poses, pixels, strict=True):
        found = solve(data.points, np.ascontiguousarray(each), data.camera)
        if found is not None:
            pose[:, :3], pose[:, 3] = found
    return poses, time.process_time() - start


def study(object_id, n_images, seeds, settings, tol):
    """Return, by setting or peer, arrays over the images of one block, whose calibration images are new, too."""
    data_seed, sample_seed = seeds
    data = make_keypoint_pose_dataset(N_CALIBRATION + n_images, object_id=object_id, random_state=data_seed)
    heatmaps, keypoints = data.heatmaps[:N_CALIBRATION], data.keypoints[:N_CALIBRATION]
    for name in ("heatmaps", "keypoints", "poses", "affine"):
        data[name] = data[name][N_CALIBRATION:]
    results = {}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # empty sets are counted
        for kind, alpha in settings:
            estimator = ConformalPoseEstimator(data.points, data.camera, alpha=alpha, nonconformity=kind, tol=tol,
                                               random_state=sample_seed)  # fmt: skip
            results[kind, alpha] = bounded_poses(estimator.fit(heatmaps, keypoints), data)
        for name, (package, solve) in PEERS.items():
            if find_spec(package):
                poses, seconds = peer_poses(data, solve)
                results[name] = {"errors": errors(data, poses), "pose_s": np.full(n_images, seconds / n_images)}
    return results


def bounded_poses(estimator, data):
    """Return what a calibrated estimator says of images, and whether it is true."""
    times = [time.process_time()]
    poses = estimator.predict(data.heatmaps, affine=data.affine)
    times.append(time.process_time())
    bounds = estimator.predict_bounds(data.heatmaps, affine=data.affine)  # about the same poses, by the same seed
    times.append(time.process_time())
    sets = estimator.predict_pose_set(data.heatmaps, affine=data.affine)
    precisions = np.array([each.precisions for each in sets])
    n = len(sets)
    return {
        "errors": errors(data, poses),
        "bounds": np.column_stack([bounds["rotation_deg"], bounds["translation"]]),
        "covered": estimator.detector_.predict_pvalue(data.heatmaps, data.keypoints) > estimator.alpha,
        "member": np.array([each.contains(pose[:, :3], pose[:, 3])[0] for each, pose in
                            zip(sets, data.poses, strict=True)]),
        "radius": np.exp(-np.linalg.slogdet(precisions)[1] / 4).mean(axis=1),
        "status": bounds["status"],
        "pose_s": np.full(n, (times[1] - times[0]) / n),
        "bound_s": np.full(n, (times[2] - times[1]) / n),
    }  # fmt: skip


def gathered(options, object_id, parallel):
    """Return the results of all blocks, by setting or peer."""
    settings = [(kind, alpha) for kind in options.nonconformity for alpha in options.alphas]
    tasks = [(object_id, size, child_seeds(options.seed, object_id, 2, i))
             for i, size in enumerate(blocks(options.images))]  # fmt: skip
    found = parallel(delayed(study)(*task, settings, options.tol) for task in tasks)
    return {key: {name: np.concatenate([block[key][name] for block in found]) for name in found[0][key]}
            for key in found[0]}  # fmt: skip


def quantiles(values):
    """Return the median and the 90 % quantile of what is not NaN, both of them values that occur."""
    return np.quantile(values[~np.isnan(values)], [0.5, 0.9], method="inverted_cdf")


def share(condition):
    return f"{100 * np.mean(condition):.1f}"


def print_bounds(object_id, results):
    """Print the second table's rows of an object; return for each whether it is as promised."""
    accepted = []
    for (kind, alpha), found in ((key, value) for key, value in results.items() if isinstance(key, tuple)):
        held = found["errors"][:, :2] <= found["bounds"]
        covered, n = found["covered"], len(found["covered"])
        violations = int(np.sum(covered & ~held.all(axis=1)))
        strangers = int(np.sum(covered != found["member"]))
        sizes = np.array(blocks(n))
        sd = np.sqrt(sum(exact_law(alpha, size).var() for size in sizes)) / n
        exact = exact_law(alpha, n).mean() / n
        accepted.append(violations == 0 and strangers == 0 and abs(np.mean(covered) - exact) <= ALLOWED * sd)
        turns, shifts = quantiles(found["bounds"][:, 0]), 1000 * quantiles(found["bounds"][:, 1])
        counts = [int(np.sum(found["status"] == word)) for word in ("empty", "unbounded", "truncated")]
        print_row(
            object_id, kind, alpha, f"{found['radius'].mean():.1f}", f"{100 * exact:.1f} +- {100 * sd:.1f}",
            share(covered), strangers, share(held[:, 0]), share(held[:, 1]), violations,
            *(f"{value:.1f}" for value in turns), *(f"{value:.0f}" for value in shifts), *counts,
            f"{found['bound_s'].mean():.3f}",
        )  # fmt: skip
    return accepted


def print_poses(object_id, results):
    diameter = make_keypoint_pose_dataset(1, object_id=object_id, random_state=0).diameter
    for key, found in results.items():
        name = f"average pose, {key[0]}, alpha={key[1]}" if isinstance(key, tuple) else key
        each = found["errors"]
        turns, shifts = quantiles(each[:, 0]), 1000 * quantiles(each[:, 1])
        print_row(
            object_id, name, *(f"{value:.2f}" for value in turns), *(f"{value:.1f}" for value in shifts),
            share(each[:, 2] < 0.1 * diameter), share(each[:, 3] < 5), int(np.sum(np.isinf(each[:, 0]))),
            f"{1000 * found['pose_s'].mean():.2f}",
        )  # fmt: skip


def print_tables(options, parallel):
    """Print the last two tables; return whether the bounds are as promised."""
    results = {object_id: gathered(options, object_id, parallel) for object_id in options.objects}
    print()
    print_header("object", "sets", "alpha", "radius, px", "exact coverage %", "covered %", "differ",
                 "rotation held %", "translation held %", "violations", "rotation deg, median", "90 %",
                 "translation mm, median", "90 %", "empty", "unbounded", "truncated", "s an image")  # fmt: skip
    accepted = [each for object_id, found in results.items() for each in print_bounds(object_id, found)]
    print()
    print_header("object", "pose", "deg, median", "90 %", "mm, median", "90 %", "ADD < 10 %", "2D < 5 px", "failed",
                 "ms an image")  # fmt: skip
    for object_id, found in results.items():
        print_poses(object_id, found)
    for name, (package, _) in PEERS.items():
        if not find_spec(package):
            print(f"\n{name} is left out: {package} is not installed")
    return all(accepted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="an object, for bounds and poses")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--n-jobs", type=int, default=1, help="processes")
    parser.add_argument("--objects", type=int, nargs="+", default=[9], metavar="ID")
    parser.add_argument("--nonconformity", nargs="+", default=["ball"], choices=["ball", "ellipse", "normalized_ball"])
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.1, 0.4], help="of the bounds")
    parser.add_argument("--tol", type=float, default=0.02, help="gap of the squared bounds")
    parser.add_argument("--pool", type=int, default=4000, help="images an object, for coverage")
    parser.add_argument("--splits", type=int, default=2000)
    options = parser.parse_args()
    if options.pool < N_CALIBRATION + N_TEST:
        parser.error(f"--pool {options.pool} is too small: it must be at least {N_CALIBRATION + N_TEST}")
    start, parallel = time.perf_counter(), Parallel(n_jobs=options.n_jobs)
    agree = coverage(options, parallel)
    kept = print_tables(options, parallel)
    print(f"\n{'accepted' if agree and kept else 'NOT ACCEPTED'}: coverage over splits "
          f"{'agrees' if agree else 'does not agree'} with the exact law, the bounds of images are "
          f"{'' if kept else 'not '}as promised")  # fmt: skip
    seconds = time.perf_counter() - start
    print(f"{options.images} images an object, seed {options.seed}, {seconds:.0f} s in {options.n_jobs} processes")


if __name__ == "__main__":
    main()
