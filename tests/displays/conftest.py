"""Figures are drawn without a screen, and closed after each test."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def backend():
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pytest.importorskip("matplotlib.pyplot").close("all")
