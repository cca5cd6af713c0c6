"""A third party's backend: a package of its own, found through its entry point."""

import json
import os
import subprocess
import sys

import pytest

PYPROJECT = """
[build-system]
requires = ["flit_core >=3.2,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "lasso-plugin"
version = "1.0"
description = "A backend for the Lasso"

[project.entry-points."estimand.solvers"]
"lasso.plugin_ista" = "lasso_plugin:PluginISTA"
"lasso.broken" = "lasso_plugin.no_such_module:Broken"

[tool.flit.module]
name = "lasso_plugin"
"""

MODULE = """
import numpy as np

from estimand.solvers import Monitor, Solver
from estimand.solvers.lasso import LassoProblem


class PluginISTA(Solver):
    name, problem, guarantee, supports = "plugin_ista", LassoProblem, "exact", frozenset({"callback", "intercept"})

    def __init__(self, max_iter=10_000, time_limit=None):
        self.max_iter, self.time_limit = max_iter, time_limit

    def solve(self, problem, *, start=None, tol, callback=None):
        x = self.start_point(problem, start)
        step = problem.A.shape[0] / np.linalg.norm(problem.A, 2) ** 2
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x):
                x = x - step * problem.gradient(x)
                x = np.sign(x) * np.maximum(np.abs(x) - step * problem.alpha, 0.0)
        return run.solution()
"""

USE = """
import json

import numpy as np
from estimand import Lasso, get_solver, list_solvers

listed = {solver.name: (solver.available, solver.note) for solver in list_solvers("lasso")}
rng = np.random.default_rng(0)
X = rng.standard_normal((30, 8))
y = X[:, 0] + 0.1 * rng.standard_normal(30)
model = Lasso(alpha=0.1, solver="plugin_ista", max_iter=5000).fit(X, y)
reference = Lasso(alpha=0.1, solver="cvxpy").fit(X, y)
try:
    get_solver("broken", "lasso")
except ImportError as error:
    message = str(error)
print(json.dumps({
    "listed": listed,
    "solver": model.solution_.solver,
    "converged": model.solution_.converged,
    "difference": float(np.abs(model.coef_ - reference.coef_).max()),
    "message": message,
}))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "lasso_plugin.py").write_text(MODULE)
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    done = subprocess.run(
        [sys.executable, "-P", "-c", USE],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(target)},
    )
    return json.loads(done.stdout)


def test_is_listed(result):
    assert result["listed"]["plugin_ista"] == [True, ""]


def test_solves_and_is_certified(result):
    assert result["solver"] == "plugin_ista"
    assert result["converged"]
    assert result["difference"] < 1e-3


def test_a_broken_one_is_reported_and_not_fatal(result):
    available, note = result["listed"]["broken"]
    assert not available
    assert "lasso-plugin" in note
    assert "no_such_module" in note
    assert result["message"] == note
