"""Every backend of the pose-bound problem against every other, generated from the capability table."""

import numpy as np
import pytest

from estimand.solvers import get_solver, list_solvers, resolve_solver
from estimand.solvers.pose_bound.examples import examples
from estimand.solvers.testing import check_solver, qualifies

TOL = 0.02
EXAMPLES = dict(examples())
BACKENDS = [info.name for info in list_solvers("pose_bound") if info.available]


@pytest.fixture(scope="module")
def reference():
    return {name: get_solver("bnb", problem).solve(problem, tol=0.004) for name, problem in EXAMPLES.items()}


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("backend", BACKENDS)
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


@pytest.mark.parametrize("backend", BACKENDS)
def test_contract(backend):
    check_solver(type(get_solver(backend, "pose_bound")), tol=TOL)


def test_auto_has_a_backend_for_every_example():
    for problem in EXAMPLES.values():
        solver, reason = resolve_solver("auto", problem)
        assert solver.name == "bnb"
        assert reason
