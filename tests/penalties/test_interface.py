"""Names, parameters, errors, cloning and penalties of one's own."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from estimand import penalties
from estimand.penalties import CEL0, L0, L1, L1L2, MCP, PENALTIES, SCAD, CappedL1, LogSum, Lq, Penalty, make_penalty


def test_the_table_knows_every_built_in_penalty():
    assert set(PENALTIES) == {"l1", "elastic_net", "lq", "l0", "cel0", "mcp", "scad", "log", "capped_l1"}
    for name, cls in PENALTIES.items():
        assert isinstance(make_penalty(name, alpha=0.3), cls)
        assert getattr(penalties, cls.__name__) is cls
    assert len({cls.code for cls in PENALTIES.values()}) == len(PENALTIES)
    assert [name for name, cls in PENALTIES.items() if cls.is_convex] == ["l1", "elastic_net"]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"penalty='lasso' .*l1, elastic_net, lq, l0, cel0, mcp"):
        make_penalty("lasso")
    with pytest.raises(TypeError, match="'mcp' has no parameter 'theta': it has alpha, gamma"):
        make_penalty("mcp", theta=1.0)


@pytest.mark.parametrize("cls", list(PENALTIES.values()))
def test_clone_pickle_and_parameters(cls):
    strength = np.float64(0.25)
    penalty = cls(alpha=strength)
    assert penalty.alpha is strength
    for copy in (clone(penalty), pickle.loads(pickle.dumps(penalty))):
        assert copy.get_params() == penalty.get_params()
        assert copy.kernel_arguments() == penalty.kernel_arguments()
    assert penalty.set_params(alpha=2.0).alpha == 2.0


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (L1(-1.0), r"L1: alpha=-1.0 must be finite and at least 0"),
        (MCP(np.nan), r"MCP: alpha=nan must be finite"),
        (L0(np.inf), r"L0: alpha=inf must be finite"),
        (L1L2(1.0, 1.5), r"l1_ratio=1.5 must lie in \[0, 1\]"),
        (L1L2(1.0, -0.5), r"l1_ratio=-0.5"),
        (Lq(1.0, 1.0), r"q=1.0 must lie between 0 and 1.*Use L1"),
        (Lq(1.0, 0.0), r"q=0.0 must lie between 0 and 1.*Use L0"),
        (Lq(1.0, 2.0), r"q=2.0 must lie between 0 and 1"),
        (Lq(1.0, np.nan), r"q=nan must be finite"),
        (CEL0(1.0, 0.0), r"norm=0.0 must be finite and above 0"),
        (MCP(1.0, 0.0), r"gamma=0.0 must be finite and above 0"),
        (SCAD(1.0, 2.0), r"SCAD: gamma=2.0 must be finite and above 2"),
        (LogSum(1.0, -1.0), r"eps=-1.0"),
        (CappedL1(1.0, 0.0), r"theta=0.0"),
    ],
)
def test_parameters_are_checked_at_use(penalty, message):
    x = np.ones(2)
    for use in (
        lambda: penalty.prox(x, 1.0),
        lambda: penalty.value(x),
        lambda: penalty.threshold(1.0),
        lambda: penalty.subgradient_distance(x, x),
        lambda: penalty.kernel_arguments(),
    ):
        with pytest.raises(ValueError, match=message):
            use()


@pytest.mark.parametrize("alpha", ["1", None, True])
def test_parameters_are_numbers(alpha):
    with pytest.raises(TypeError, match="alpha="):
        L1(alpha).prox(1.0, 1.0)


@pytest.mark.parametrize("step", [-1.0, np.nan, np.inf])
def test_steps_are_checked(step):
    with pytest.raises(ValueError, match="step="):
        MCP().prox(np.ones(2), np.array([1.0, step]))


class Ridge(Penalty):
    is_convex = True

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def value_elementwise(self, w):
        return self.alpha / 2 * w**2

    def prox(self, x, step, positive=False):
        return (np.maximum(x, 0.0) if positive else x) / (1 + step * self.alpha)


class Deadzone(Penalty):
    """An l1 penalty under another name, to compare the inherited members with the formulas."""

    def value_elementwise(self, w):
        return np.abs(w)

    def prox(self, x, step, positive=False):
        return L1(1.0).prox(x, step, positive)


def test_inherited_members_of_a_penalty_of_ones_own():
    assert Ridge(2.0).value(np.array([1.0, -2.0])) == 5.0
    assert Ridge().threshold(1.0) == 0.0
    assert Ridge().kernel_arguments() is None
    step = np.array([[0.1, 2.0], [1e-20, 1e20]])
    np.testing.assert_allclose(Deadzone().threshold(step), step, rtol=1e-12)
    assert np.ndim(Deadzone().threshold(2.0)) == 0


def test_an_incomplete_penalty_cannot_be_made():
    class Half(Penalty):
        def value_elementwise(self, w):
            return w

    with pytest.raises(TypeError, match="prox"):
        Half()
