"""Bounds on the errors of poses: a solver returns a pose for each instance, and what proves that none is farther.

What counts is the share of the upper bound that is not proved to be necessary, in degrees or metres and not in their
squares: 1 where nothing is proved, or no member found. All bounds are computed by the problem, from raw data.
"""

from dataclasses import replace

import numpy as np
from benchmark_utils.instances import distance
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "Pose bound"
    min_benchopt_version = "1.6"
    sampling_strategy = "run_once"
    parameters = {"kind": ["rotation", "translation"]}

    def set_data(self, problems):
        self.problems = [replace(problem, kind=self.kind) for problem in problems]

    def evaluate_result(self, poses, duals):
        each = zip(self.problems, poses, duals, strict=True)
        certificates = [problem.certify(pose, dual, tol=1.0) for problem, pose, dual in each]
        lower = np.array([distance(self.kind, certificate.lower) for certificate in certificates])
        upper = np.array([distance(self.kind, certificate.upper) for certificate in certificates])
        scale = np.array([distance(self.kind, problem.scale) for problem in self.problems])
        return {
            "value": np.mean(1 - np.maximum(lower, scale) / np.maximum(upper, scale)),
            "gap": max(certificate.relative for certificate in certificates),
            "lower": np.mean(lower),
            "upper": np.mean(upper),
        }

    def get_one_result(self):
        return {"poses": [problem.initial_point() for problem in self.problems], "duals": [None] * len(self.problems)}

    def get_objective(self):
        return {"problems": self.problems}
