"""Every backend of sparse coding against every other, generated from the capability table."""

import numpy as np
import pytest

from estimand.penalties import CEL0, L0, L1
from estimand.solvers import get_solver, list_solvers, resolve_solver
from estimand.solvers.sparse_coding import descent, homotopy, iteration, omp, working_set_cd
from estimand.solvers.sparse_coding.examples import examples, random_instance
from estimand.solvers.testing import check_solver, qualifies

TOL = 1e-8
EXAMPLES = dict(examples())
BACKENDS = [info.name for info in list_solvers("sparse_coding") if info.available]
#: Sweeps over all atoms are too slow here: long signals in nearly dependent atoms.
SLOW = {
    "cyclic_cd": {"l1_far_from_zero", "lq_far_from_zero", "many_signals"},
    "ista": {"l1_far_from_zero", "lq_far_from_zero"},
    "sklearn": {"l1_ties"},  # least angle regression stops at ties
}
CASES = [
    pytest.param(backend, example, id=f"{backend}-{example}")
    for backend in BACKENDS
    for example, problem in EXAMPLES.items()
    if qualifies(get_solver(backend, "sparse_coding"), problem) and example not in SLOW.get(backend, ())
]


def objective(problem, x):
    """The objective by a formula of its own."""
    unit = np.linalg.norm(problem.D, axis=1) if isinstance(problem.penalty, CEL0) else 1.0
    return 0.5 * np.sum((problem.X - x @ problem.D) ** 2) + problem.penalty.value(x * unit)


def gains(problem, x):
    """What each single coordinate could gain, by a search on a grid and its refinement."""
    best = np.zeros_like(x)
    for i, j in np.ndindex(x.shape):
        rest = problem.X[i] - x[i] @ problem.D + x[i, j] * problem.D[j]
        nu = problem.D[j] @ problem.D[j]
        unit = np.sqrt(nu) if isinstance(problem.penalty, CEL0) else 1.0
        u = rest @ problem.D[j] / nu
        grid = np.unique(np.concatenate([[0.0, u, x[i, j]], u * np.linspace(0, 1, 4001)]))
        grid = grid[grid >= 0] if problem.positive else grid
        value = 0.5 * nu * (grid - u) ** 2 + problem.penalty.value_elementwise(grid * unit)
        now = 0.5 * nu * (x[i, j] - u) ** 2 + problem.penalty.value_elementwise(np.array([x[i, j] * unit]))[0]
        best[i, j] = now - value.min()
    return best


@pytest.mark.parametrize(("backend", "example"), CASES)
def test_backend_solves_example(backend, example):
    problem = EXAMPLES[example]
    solution = get_solver(backend, problem).solve(problem, tol=TOL)
    assert solution.converged, (solution.status, solution.certificate)
    assert solution.objective == pytest.approx(objective(problem, solution.x), rel=1e-12, abs=1e-300)
    if problem.has_gap:
        reference = get_solver("working_set_cd", problem).solve(problem, tol=1e-11)
        assert solution.objective <= reference.objective + TOL * problem.scale
        assert solution.objective >= reference.objective - 1e-11 * problem.scale
    assert np.all(problem.objectives(solution.x) <= problem.half_square * (1 + 1e-12) + 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_contract(backend):
    check_solver(get_solver(backend, "sparse_coding"), tol=1e-7, skip=SLOW.get(backend, ()))


@pytest.mark.parametrize("example", [name for name in EXAMPLES if name.endswith("_small")])
def test_no_coordinate_of_a_certified_code_can_gain(example):
    problem = EXAMPLES[example]
    solution = resolve_solver("auto", problem)[0].solve(problem, tol=1e-9)
    assert solution.converged
    assert gains(problem, solution.x).max() < 1e-8 * problem.half_square.max()


def test_auto_has_a_backend_for_every_example():
    chosen = {name: resolve_solver("auto", problem)[0].name for name, problem in EXAMPLES.items()}
    assert chosen["l1"] == chosen["l1_positive"] == "homotopy"
    assert chosen["log"] == chosen["l1l2"] == "working_set_cd"
    assert chosen["l0"] == chosen["mcp"] == chosen["lq_positive"] == "graduated"


def test_a_tighter_tolerance_moves_codes_towards_the_minimum():
    problem = random_instance(3, L1(0.05), n=50, d=20, n_atoms=60)
    best = get_solver("working_set_cd", problem).solve(problem, tol=1e-13).objective
    for tol in (1e-2, 1e-4, 1e-6):
        assert get_solver("working_set_cd", problem).solve(problem, tol=tol).objective - best <= tol * problem.scale


@pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if "n_jobs" in get_solver(name, "sparse_coding").get_params()]
)
def test_threads_do_not_matter(backend, monkeypatch):
    for module in (descent, homotopy, iteration, omp):
        monkeypatch.setattr(module, "_ROWS", 2)
    problem = random_instance(0, penalty=L0(0.05) if backend in ("omp", "graduated") else L1(0.1), n=9)
    codes = [get_solver(backend, problem, n_jobs=n_jobs).solve(problem, tol=TOL).x for n_jobs in (1, 2, 3)]
    for again in codes[1:]:
        np.testing.assert_array_equal(again, codes[0])


@pytest.mark.parametrize("backend", ["ista", "fista", "lca", "enumerate"])
def test_polishing_keeps_to_the_options_of_the_backend(backend, monkeypatch):
    made = []

    class Descent(working_set_cd.WorkingSetCD):
        def solve(self, problem, **options):
            made.append((self.time_limit, self.n_jobs))
            return super().solve(problem, **options)

    monkeypatch.setattr(working_set_cd, "WorkingSetCD", Descent)
    small = {"penalty": L0(0.05), "n_atoms": 8} if backend == "enumerate" else {"penalty": L1(0.1)}
    problem = random_instance(0, **small)
    own = {} if backend == "enumerate" else {"n_jobs": 1}
    get_solver(backend, problem, time_limit=100.0, **own).solve(problem, tol=TOL)
    ((left, n_jobs),) = made
    assert 0 < left < 100
    assert n_jobs == own.get("n_jobs")
