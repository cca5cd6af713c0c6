"""The contract itself: certificates, solutions, the monitor and the registry."""

import math
import pickle
import time
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers import (
    Certificate,
    Check,
    Monitor,
    Problem,
    Solution,
    Solver,
    State,
    get_solver,
    list_solvers,
    register_solver,
    registry,
    resolve_solver,
)
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.fista import FISTA
from estimand.solvers.testing import check_solver


@dataclass(frozen=True, eq=False, kw_only=True)
class Square(Problem):
    """Minimise ``x^2 / 2 + offset``; the gap at x is honest but can be made to refuse."""

    name = "lasso"  # a key that the registry knows
    offset: float = 0.0
    refuses_to_certify: bool = False

    def objective(self, x):
        return float(x @ x) / 2 + self.offset

    def certify(self, x, dual=None, *, tol):
        lower = self.offset - (1.0 if self.refuses_to_certify else 0.0)
        return Certificate.from_bounds("gap", lower, self.objective(x), scale=1.0, tol=tol)

    def initial_point(self):
        return np.array([1.0])

    @property
    def scale(self):
        return 1.0


class Halving(Solver):
    name, problem, guarantee = "halving", Square, "exact"
    supports = frozenset({"callback"})

    def __init__(self, max_iter=100, time_limit=None):
        self.max_iter, self.time_limit = max_iter, time_limit

    def solve(self, problem, *, start=None, tol, callback=None, claims=False, step=0.5, pause=0.0):
        x = self.start_point(problem, start)
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x, value=float(x @ x) / 2 if claims else None):
                x = step * x
                time.sleep(pause)
        return run.solution(state=State(self.name, arrays=(problem,), data="reusable"))


class TestCertificate:
    def test_gap_is_never_below_rounding(self):
        certificate = Certificate.from_bounds("gap", 1.0, 1.0, scale=1.0, tol=0.0)
        assert certificate.value == certificate.floor == np.finfo(float).eps
        assert not certificate.converged

    def test_bounds_that_cross_show_their_rounding_error(self):
        certificate = Certificate.from_bounds("gap", 1.0 + 1e-12, 1.0, scale=1.0, tol=1e-14)
        assert certificate.value == certificate.floor == pytest.approx(1e-12, rel=1e-3)
        assert not certificate.converged
        better = Certificate.from_bounds("gap", 0.5, 1.0, scale=1.0, tol=1e-14).with_lower(1.0 + 1e-12)
        assert better.value == better.floor == certificate.value

    def test_infeasible_point_is_not_at_the_floor(self):
        certificate = Certificate.from_bounds("gap", 0.0, math.inf, scale=1.0, tol=1e-3)
        assert certificate.value == math.inf
        assert certificate.floor == 0.0
        assert not certificate.converged

    def test_nan_never_converges(self):
        assert not Certificate.from_bounds("gap", math.nan, 1.0, scale=1.0, tol=math.inf).converged

    @pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
    def test_scale_must_be_positive_and_finite(self, scale):
        with pytest.raises(ValueError, match="scale="):
            Certificate(kind="kkt", value=0.0, scale=scale, tol=0.1)

    def test_unknown_kind(self):
        with pytest.raises(ValueError, match="kind='word' is not a kind of certificate: use one of gap"):
            Certificate(kind="word", value=0.0, scale=1.0, tol=0.1)

    def test_decides_in_units_of_the_scale(self):
        certificate = Certificate(kind="kkt", value=5.0, scale=100.0, tol=0.05)
        assert certificate.converged
        assert certificate.relative == 0.05
        assert not Certificate(kind="kkt", value=5.1, scale=100.0, tol=0.05).converged

    def test_a_better_lower_bound_tightens(self):
        loose = Certificate.from_bounds("gap", 0.0, 1.0, scale=1.0, tol=0.1, parts={"primal": 1.0})
        tight = loose.with_lower(0.75)
        assert (tight.value, tight.lower, tight.upper, dict(tight.parts)) == (0.25, 0.75, 1.0, {"primal": 1.0})
        assert loose.with_lower(-1.0) is loose
        assert loose.with_lower(math.nan) is loose

    def test_pickles_and_is_read_only(self):
        certificate = Certificate(kind="kkt", value=1.0, scale=2.0, tol=0.1, parts={"a": 1.0}, byproducts={"r": [1]})
        loaded = pickle.loads(pickle.dumps(certificate))
        assert dict(loaded.parts) == {"a": 1.0}
        assert loaded.value == 1.0
        assert dict(certificate.compact().byproducts) == {}
        with pytest.raises(TypeError):
            certificate.parts["a"] = 2.0


def solution(value=0.0, x=(1.0,), status="converged", n_iter=3):
    certificate = Certificate(kind="gap", value=value, scale=1.0, tol=0.1, byproducts={"big": np.ones(3)})
    return Solution(
        x=np.array(x), dual=np.ones(3), objective=1.0, certificate=certificate, status=status, n_iter=n_iter,
        history=(Check(0, 0.0, 1.0, value),), state=State("owner", (), "data"),
    )  # fmt: skip


class TestSolution:
    def test_pickle_leaves_the_state_behind(self):
        loaded = pickle.loads(pickle.dumps(solution()))
        assert loaded.state is None
        np.testing.assert_array_equal(loaded.dual, np.ones(3))
        assert loaded.history[0].value == 0.0

    def test_compact_drops_what_is_large(self):
        compact = solution().compact()
        assert compact.dual is None
        assert compact.state is None
        assert not compact.certificate.byproducts
        assert compact.history

    def test_stack_takes_the_worst_certificate(self):
        stacked = Solution.stack([solution(0.0), solution(0.5, x=(2.0,), status="max_iter", n_iter=9)])
        np.testing.assert_array_equal(stacked.x, [[1.0], [2.0]])
        assert (stacked.certificate.value, stacked.status, stacked.n_iter) == (0.5, "max_iter", 9)
        assert stacked.objective == 2.0
        assert not stacked.converged

    def test_stack_of_nothing(self):
        with pytest.raises(ValueError, match="nothing to stack"):
            Solution.stack([])

    def test_status_is_one_of_the_list(self):
        with pytest.raises(ValueError, match="status='done' is not a status: use one of converged"):
            solution(status="done")

    def test_state_is_for_its_owner_and_arrays_only(self):
        A, B = np.ones(2), np.ones(2)
        state = State("fista", (A,), 7)
        assert state.data_for("fista", (A,)) == 7
        assert state.data_for("fista", (B,)) is None
        assert state.data_for("cvxpy", (A,)) is None
        assert state.data_for("fista", (A, B)) is None


class TestMonitor:
    def test_converges(self):
        found = Halving().solve(Square(), tol=1e-6)
        assert (found.status, found.n_iter, found.solver) == ("converged", 10, "halving")
        assert [check.n_iter for check in found.history] == list(range(11))
        assert all(check.certified for check in found.history)

    def test_max_iter(self):
        found = Halving(max_iter=3).solve(Square(), tol=1e-6)
        assert (found.status, found.n_iter, found.x[0]) == ("max_iter", 3, 0.125)

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"max_iter": -3}, "max_iter=-3 of Halving"), ({"time_limit": -1.0}, "time_limit=-1.0")],
    )
    def test_impossible_budgets(self, options, message):
        with pytest.raises(ValueError, match=message):
            Halving(**options).solve(Square(), tol=1e-6)

    def test_time_limit(self):
        found = Halving(time_limit=0.05).solve(Square(), tol=0.0, step=0.99, pause=0.02)
        assert found.status == "time_limit"
        assert 0 < found.n_iter < 10

    def test_running_values_are_certified_only_when_small(self):
        found = Halving().solve(Square(), tol=1e-6, claims=True)
        assert found.converged
        assert [check.certified for check in found.history] == [False] * 10 + [True]

    def test_claims_refuted_thrice_stall(self):
        found = Halving().solve(Square(refuses_to_certify=True), tol=1e-2, claims=True)
        assert found.status == "stalled"
        assert "does not certify" in found.message
        claims = [check for check in found.history if check.certified]
        assert len(claims) == 3
        # Each refuted claim makes the next test ten times stricter.
        assert claims[1].objective <= 1e-3
        assert claims[2].objective <= 1e-4

    def test_floor_stalls(self):
        found = Halving().solve(Square(offset=1e6), tol=1e-14)
        assert found.status == "stalled"
        assert "rounding error" in found.message
        assert found.certificate.value == found.certificate.floor

    def test_callback_sees_read_only_points_and_stops(self):
        seen = []

        def callback(state):
            seen.append((state.n_iter, state.objective, state.certificate.value))
            assert not state.x.flags.writeable
            return state.n_iter == 2

        found = Halving().solve(Square(), tol=1e-6, callback=callback)
        assert (found.status, found.n_iter) == ("callback", 2)
        assert seen == [(0, 0.5, 0.5), (1, 0.125, 0.125), (2, 0.03125, 0.03125)]

    def test_a_truthy_word_is_no_stop(self):
        assert Halving().solve(Square(), tol=1e-6, callback=lambda state: "go on").converged

    def test_interrupt_keeps_the_best_point(self):
        def callback(state):
            if state.n_iter == 4:
                raise KeyboardInterrupt

        found = Halving().solve(Square(), tol=1e-6, callback=callback)
        assert (found.status, found.x[0], found.message) == ("interrupted", 0.0625, "interrupted from the keyboard")

    def test_other_errors_propagate(self):
        def callback(state):
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            Halving().solve(Square(), tol=1e-6, callback=callback)

    def test_best_point_is_kept(self):
        found = Halving(max_iter=4).solve(Square(), tol=1e-6, step=-2.0)
        assert (found.status, found.x[0], found.n_iter) == ("max_iter", 1.0, 4)

    def test_tol_is_at_least_zero(self):
        for tol in (-1.0, math.nan):
            with pytest.raises(ValueError, match="tol="):
                Halving().solve(Square(), tol=tol)

    def test_solution_before_any_check(self):
        with pytest.raises(RuntimeError, match="before any point"):
            Monitor(Halving(), Square(), tol=0.1).solution()


@pytest.fixture
def instance():
    return LassoProblem(A=np.eye(3), y=np.arange(3.0), alpha=0.1)


@pytest.fixture
def plugins(monkeypatch):
    """Let the registry find the given entry points."""

    def install(**values):
        group = registry.ENTRY_POINT_GROUP
        found = [EntryPoint(key.replace("__", "."), value, group) for key, value in values.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)
        registry._entry_points.cache_clear()

    yield install
    registry._entry_points.cache_clear()


class Plugin(FISTA):
    name = "plugin"


class Misnamed(FISTA):
    name = "another"


NOT_A_SOLVER = 3


class TestRegistry:
    def test_unknown_name_lists_the_others(self, monkeypatch):
        monkeypatch.setattr("estimand.solvers.lasso.celer.Celer.missing_packages", classmethod(lambda cls: ("celer",)))
        with pytest.raises(ValueError, match=r"solver='lars' is not a backend of 'lasso': use 'auto', ") as caught:
            get_solver("lars", LassoProblem)
        assert "'fista'" in str(caught.value)
        assert "'celer' after pip install celer" in str(caught.value)

    def test_missing_package_names_the_line(self, monkeypatch, instance):
        monkeypatch.setattr("estimand.solvers.lasso.celer.Celer.missing_packages", classmethod(lambda cls: ("celer",)))
        from estimand.solvers.lasso.celer import Celer

        for solver in ("celer", Celer()):
            with pytest.raises(BackendUnavailableError, match="pip install celer"):
                resolve_solver(solver, instance)
        row = next(info for info in list_solvers("lasso") if info.name == "celer")
        assert not row.available
        assert "no: pip install celer" in repr(list_solvers("lasso"))

    def test_unknown_problem(self):
        with pytest.raises(ValueError, match="problem='ridge' is not in the registry: use one of lasso"):
            list_solvers("ridge")

    def test_class_instead_of_instance(self, instance):
        with pytest.raises(TypeError, match=r"solver=FISTA is a class: pass an instance, solver=FISTA\(\)"):
            resolve_solver(FISTA, instance)

    def test_solver_of_another_problem(self, instance):
        with pytest.raises(TypeError, match="solves Square, not LassoProblem"):
            resolve_solver(Halving(), instance)

    def test_neither_name_nor_solver(self, instance):
        with pytest.raises(TypeError, match="must be 'auto', the name of a backend or a Solver"):
            resolve_solver(3, instance)

    def test_unsupported_names_those_that_can(self):
        problem = LassoProblem(A=np.eye(3), y=np.arange(3.0), alpha=0.1, weights=np.array([0.0, 1.0, 1.0]))
        with pytest.raises(
            UnsupportedProblemError, match=r"solver='sklearn' .* does not support free.*Use one of: "
        ) as e:
            resolve_solver("sklearn", problem)
        assert "'fista'" in str(e.value)
        assert "celer" not in str(e.value)

    def test_instance_is_cloned_and_keeps_its_options(self, instance):
        given = FISTA(max_iter=7)
        solver, choice = resolve_solver(given, instance, options={"max_iter": 99})
        assert solver is not given
        assert (solver.max_iter, choice) == (7, "")

    def test_name_takes_the_options_that_it_knows(self, instance):
        solver, choice = resolve_solver("fista", instance, options={"max_iter": 9, "verbose": True})
        assert (solver.max_iter, choice) == (9, "")

    def test_register_for_a_session(self, instance):
        register_solver(Plugin)
        try:
            assert "plugin" in [info.name for info in list_solvers("lasso")]
            assert type(resolve_solver("plugin", instance)[0]) is Plugin
            register_solver(Plugin)  # again is fine
            with pytest.raises(ValueError, match="name='plugin' is taken"):
                register_solver(type("Twin", (Plugin,), {}))
        finally:
            registry.unregister_solver(Plugin)
        assert "plugin" not in [info.name for info in list_solvers("lasso")]

    def test_names_of_built_in_backends_are_taken(self):
        with pytest.raises(ValueError, match="name='fista' is taken"):
            register_solver(type("Mine", (FISTA,), {}))

    def test_register_something_else(self):
        with pytest.raises(TypeError, match="is not a subclass"):
            register_solver(FISTA())

    def test_good_plugin(self, plugins, instance):
        plugins(lasso__plugin=f"{__name__}:Plugin")
        solver, _ = resolve_solver("plugin", instance)
        assert solver.solve(instance, tol=1e-6).solver == "plugin"
        assert next(info for info in list_solvers("lasso") if info.name == "plugin").available

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("no_such_module:Plugin", "ModuleNotFoundError"),
            (f"{__name__}:NoSuchClass", "AttributeError"),
            (f"{__name__}:NOT_A_SOLVER", "is not a subclass"),
            (f"{__name__}:Misnamed", "its key says lasso.plugin"),
            (f"{__name__}:Halving", "its key says lasso.plugin"),
        ],
    )
    def test_broken_plugin_is_reported_and_never_fatal(self, plugins, instance, value, reason):
        plugins(lasso__plugin=value)
        row = next(info for info in list_solvers("lasso") if info.name == "plugin")
        assert not row.available
        assert reason in row.note
        with pytest.raises(BackendUnavailableError, match=r"'plugin'.*does not load"):
            resolve_solver("plugin", instance)
        assert resolve_solver("auto", instance)[0].solve(instance, tol=1e-6).converged

    def test_plugin_with_a_wrong_key_is_ignored_with_a_warning(self, plugins):
        plugins(ridge__plugin=f"{__name__}:Plugin")
        with pytest.warns(RuntimeWarning, match="'ridge.plugin'.* is ignored: the key must read"):
            assert "plugin" not in [info.name for info in list_solvers("lasso")]

    def test_plugin_with_a_taken_name_is_ignored_with_a_warning(self, plugins):
        plugins(lasso__fista=f"{__name__}:Plugin")
        with pytest.warns(RuntimeWarning, match="taken by a built-in backend"):
            assert type(get_solver("fista", "lasso")) is FISTA

    def test_table_prints(self):
        lines = repr(list_solvers(LassoProblem)).splitlines()
        assert lines[0].split() == ["problem", "solver", "available", "guarantee", "supports"]
        assert len(lines) == 2 + len(list_solvers("lasso"))


class Forgetful(FISTA):
    """Keeps its last solution."""

    name = "forgetful"

    def solve(self, problem, *, start=None, tol, callback=None):
        self.last_ = super().solve(problem, start=start, tol=tol, callback=callback)
        return self.last_


class Boastful(FISTA):
    """Stops early and claims to be done."""

    name = "boastful"

    def solve(self, problem, *, start=None, tol, callback=None):
        from dataclasses import replace

        found = super().solve(problem, start=start, tol=max(tol, 1e-2), callback=callback)
        sure = replace(found.certificate, tol=tol, value=min(found.certificate.value, 0.5 * tol * problem.scale))
        return replace(found, certificate=sure, status="converged")


class Deaf(FISTA):
    """Never calls back."""

    name = "deaf"

    def solve(self, problem, *, start=None, tol, callback=None):
        return super().solve(problem, start=start, tol=tol)


class Careless(FISTA):
    """Takes a start of any shape."""

    name = "careless"

    def solve(self, problem, *, start=None, tol, callback=None):
        return super().solve(problem, tol=tol, callback=callback)


@pytest.mark.parametrize(
    ("solver", "complaint"),
    [
        (Forgetful, "keeps something on itself"),
        (Boastful, "does not prove its certificate|smaller than the problem's"),
        (Deaf, "never called"),
        (Careless, "not refused with a ValueError"),
        (type("Small", (FISTA,), {"name": "small", "supports": frozenset({"fast"})}), "words that nobody knows: fast"),
    ],
)
def test_check_solver_finds_what_is_wrong(solver, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_solver(solver)
