"""The environment report and ``python -m estimand``."""

import subprocess
import sys

import pytest

import estimand
from estimand import list_solvers, show_versions
from estimand.solvers import info


@pytest.fixture
def report(capsys):
    show_versions()
    return capsys.readouterr().out


def test_names_every_core_package_and_every_package_of_a_backend(report):
    lines = dict(line.split(maxsplit=1) for line in report.splitlines() if line.startswith("  "))
    optional = {package for solver in list_solvers() for package in solver.requires}
    assert {"numpy", "scipy", "scikit-learn", "cvxpy", "statsmodels", *optional} <= set(lines)
    assert lines["estimand"] == estimand.__version__
    assert "hypothesis" not in lines  # the extras for development are no part of the report


def test_shows_threads_of_the_blas(report):
    threads = report.partition("Threads\n")[2].split()
    assert "openblas" in threads or "mkl" in threads or "openmp" in threads or "blis" in threads


def test_a_missing_package_is_said_to_be_missing():
    assert info._version("no-such-package-of-this-name") == "not installed"


def test_module_runs():
    done = subprocess.run([sys.executable, "-P", "-m", "estimand"], capture_output=True, text=True, check=True)
    assert "scikit-learn" in done.stdout
    assert str(list_solvers()) in done.stdout
    assert done.stderr == ""
