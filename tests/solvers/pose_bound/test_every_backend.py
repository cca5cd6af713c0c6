"""Every backend of the pose-bound problem against every other, generated from the capability table."""

import numpy as np
import pytest

from estimand.solvers import get_solver, list_solvers, resolve_solver, testing
from estimand.solvers.pose_bound.examples import examples
from estimand.solvers.testing import check_solver, qualifies

TOL = 0.02
EXAMPLES = dict(examples())
BACKENDS = [info.name for info in list_solvers("pose_bound") if info.available]
#: Semidefinite relaxations take seconds where discs are tiny, or keypoints few or many.
RELAXATIONS = ("moment2", "moment2_cvxpy")
SLOW = ("tiny_discs", "few_keypoints", "many_keypoints", "millimetres")


@pytest.fixture(scope="module")
def reference():
    return {name: get_solver("bnb", problem).solve(problem, tol=0.004) for name, problem in EXAMPLES.items()}


def slow_where(slow, *values):
    return pytest.param(*values, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(
    ("backend", "example"),
    [slow_where(b in RELAXATIONS and e.startswith(SLOW), b, e) for b in BACKENDS for e in EXAMPLES],
)
def test_bounds_of_backends_are_in_order(backend, example, reference):
    problem, solver = EXAMPLES[example], get_solver(backend, "pose_bound")
    if not qualifies(solver, problem):
        pytest.skip(f"{backend} refuses it")
    solution = solver.solve(problem, tol=TOL)
    certificate, best = solution.certificate, reference[example].certificate
    assert reference[example].converged
    assert solution.converged or solver.guarantee != "exact"
    assert best.lower <= certificate.upper * (1 + 1e-7)
    assert certificate.lower <= best.upper * (1 + 1e-7)
    if np.isfinite(certificate.lower):
        assert problem.is_member(solution.x)


@pytest.mark.parametrize("backend", [slow_where(name in RELAXATIONS, name) for name in BACKENDS])
def test_contract(backend):
    check_solver(type(get_solver(backend, "pose_bound")), tol=TOL)


@pytest.mark.parametrize("backend", RELAXATIONS)
def test_contract_of_relaxations(monkeypatch, backend):
    few = [("plain_translation", EXAMPLES["plain_translation"])]
    monkeypatch.setattr(testing, "example_problems", lambda problem: few)
    check_solver(type(get_solver(backend, "pose_bound")), tol=TOL)


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_order_of_upper_bounds(kind, reference):
    """Those of branch and bound are the smallest, but for its tolerance, and those of the first order the largest."""
    name = f"plain_{kind}"
    problem = EXAMPLES[name]
    uppers = {
        backend: get_solver(backend, "pose_bound").solve(problem, tol=TOL).certificate.upper
        for backend in ("moment2", "moment2_cvxpy", "shor")
    }
    best = reference[name].certificate
    for backend in RELAXATIONS:
        assert best.lower <= uppers[backend] <= uppers["shor"]
        assert best.upper <= 1.005 * uppers[backend]
    assert uppers["moment2"] <= 1.02 * best.lower


def test_auto_has_a_backend_for_every_example():
    for problem in EXAMPLES.values():
        solver, reason = resolve_solver("auto", problem)
        assert solver.name == "bnb"
        assert reason
