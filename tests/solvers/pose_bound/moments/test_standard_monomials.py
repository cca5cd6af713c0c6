"""The table of reductions: what it says of rotations, and that it is the one that linear algebra gives."""

from collections import Counter

import numpy as np

from estimand.solvers.pose_bound.moments.standard_monomials import compute_reductions, monomials, reductions
from estimand.solvers.pose_bound.rotations import random_rotations


def test_the_table_can_be_computed_again():
    assert reductions() == compute_reductions()


def test_standard_monomials():
    table = reductions()
    assert list(table) == list(monomials())
    standard = {m for m, terms in table.items() if terms == ((m, 1),)}
    assert Counter(map(len, standard)) == {0: 1, 1: 9, 2: 25, 3: 49, 4: 81}
    for m, terms in table.items():
        assert all(name in standard and len(name) <= len(m) and 0 < abs(c) <= 4 for name, c in terms)


def test_reductions_hold_on_rotations():
    entries = np.swapaxes(random_rotations(100, np.random.default_rng(0)), 1, 2).reshape(100, 9)
    values = {m: np.prod(entries[:, list(m)], axis=1) for m in monomials()}
    assert len(values) == 715
    for m, terms in reductions().items():
        np.testing.assert_allclose(sum(c * values[name] for name, c in terms), values[m], rtol=0, atol=1e-12)
