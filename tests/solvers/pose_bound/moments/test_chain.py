"""Chains of bounds: each relies on the radius that those before it have proved."""

import math
from dataclasses import replace

import numpy as np
import pytest

from estimand.solvers import get_solver
from estimand.solvers.pose_bound.moments.certificate import safe_bound
from estimand.solvers.pose_bound.moments.chain import MomentDual, chains
from estimand.solvers.pose_bound.moments.relaxation import moment_bounds


def solve(relaxation, loose_below):
    return moment_bounds(relaxation, loose_below=loose_below)


@pytest.fixture(scope="module")
def solved(make_instance):
    instance = make_instance(4, K=6)
    problem = instance.problem("rotation")
    return instance, problem, list(chains(problem, solve))


def test_the_chain_of_certificates(solved):
    instance, problem, found = solved
    chain = found[-1]
    assert [one.kind for one in chain] == ["translation"] * (len(chain) - 1) + ["rotation"]
    radius = problem.reach.max_distance
    assert radius > 3 * np.sqrt(instance.best("translation"))
    for one in chain:
        assert one.max_distance == radius
        assert one.upper == safe_bound(instance.cones, instance.R0, instance.t0, radius, one.kind, one.blocks)
        assert one.upper >= instance.best(one.kind)
        radius = min(radius, 1.05 * one.upper**0.5) if one.kind == "translation" else radius
    assert len(chain) >= 3
    # All this is not much more than a radius known in advance would have given.
    assert chain[-2].upper < 1.5 * instance.best("translation")
    best = get_solver("local", problem).solve(problem, tol=1e-3).certificate.lower
    assert instance.best("rotation") <= best <= chain[-1].upper < 1.02 * best


def test_every_chain_on_the_way_proves_what_it_says(solved):
    instance, problem, found = solved
    for chain in found[:: len(found) // 10]:
        dual = MomentDual(chain)
        assert instance.best("rotation") <= dual.upper_bound(problem)
        assert dual.upper_bound(problem) == dual.claimed_bound("rotation") or chain[-1].blocks is None
    assert MomentDual(()).upper_bound(problem) == MomentDual(()).claimed_bound("rotation") == math.inf
    translation = instance.problem("translation")
    dual = MomentDual(found[-1])
    assert dual.upper_bound(translation) == min(one.upper for one in found[-1][:-1])


def test_a_radius_that_is_not_proved_proves_nothing(solved):
    instance, problem, found = solved
    chain = found[-1]
    # Without the first bound there is no reason for the radius of the second.
    assert MomentDual(chain[1:]).upper_bound(problem) == math.inf
    weaker = chain[0]._replace(blocks=1.1 * chain[0].blocks)
    assert MomentDual((weaker, *chain[1:])).upper_bound(problem) >= instance.best("rotation")
    claimed = chain[0]._replace(blocks=np.zeros_like(chain[0].blocks))
    assert MomentDual((claimed, *chain[1:])).upper_bound(problem) == math.inf
    for max_distance in (0.0, np.nan, math.inf, -1.0):
        lying = chain[0]._replace(max_distance=max_distance)
        assert MomentDual((lying, *chain[1:])).upper_bound(problem) == math.inf
    # Nor does a chain of another centre.
    other = replace(problem, t0=problem.t0 + np.array([0.0, 0.0, 0.5]))
    assert MomentDual(chain).upper_bound(other) >= instance.best("rotation")


def test_a_run_that_proves_nothing_leaves_the_radius(make_instance):
    problem = make_instance(0, K=5).problem("rotation")

    def nothing(relaxation, loose_below):
        yield next(iter(moment_bounds(relaxation)))

    (*_, chain) = chains(problem, nothing)
    assert [one.kind for one in chain] == ["translation", "rotation"]
    assert chain[1].max_distance == problem.reach.max_distance
    assert MomentDual(chain).upper_bound(problem) == math.inf


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_randomly_corrupted_multipliers_bound_all_members(make_instance, kind):
    instance = make_instance(1, K=5)
    problem, rng = instance.problem(kind), np.random.default_rng(0)
    (*_, chain) = chains(problem, solve)
    for size in (1e-9, 1e-3, 1.0, 100.0):
        corrupted = tuple(
            one._replace(blocks=one.blocks * (1 + size * rng.standard_normal(one.blocks.shape))) for one in chain
        )
        assert MomentDual(corrupted).upper_bound(problem) >= instance.best(kind)
