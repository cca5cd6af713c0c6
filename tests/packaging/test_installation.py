"""What the installed package holds, how fast it is imported, and what the import leaves alone."""

import ast
import importlib
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import estimand

ROOT = Path(__file__).parents[2]
LAZY = ("cvxpy", "statsmodels", "matplotlib", "sklearn", "scipy", "pandas", "dask", "numba", "celer", "skglm")


def run(code):
    """Run `code` in a fresh interpreter, away from the checkout; it prints JSON."""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def public_names():
    tree = ast.parse((ROOT / "__init__.pyi").read_text())
    return [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]


def test_import_takes_less_than_50_ms_beyond_numpy():
    code = (
        "import json, time, numpy; t = time.perf_counter(); import estimand; print(json.dumps(time.perf_counter()-t))"
    )
    assert statistics.median(run(code) for _ in range(5)) < 0.050


def test_import_loads_no_heavy_package():
    loaded = run("import sys, json, estimand; print(json.dumps(list(sys.modules)))")
    assert not set(LAZY) & {name.partition(".")[0] for name in loaded}


def test_listing_solvers_loads_no_optional_package():
    loaded = run("import sys, json, estimand; estimand.list_solvers(); print(json.dumps(list(sys.modules)))")
    assert not {"cvxpy", "statsmodels", "matplotlib", "numba", "celer", "skglm"} & set(loaded)


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_resolves(name):
    assert getattr(estimand, name) is not None
    assert name in dir(estimand)
    assert name in estimand.__all__


def test_version_is_said_once():
    declared = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    assert estimand.__version__ == importlib.metadata.version("estimand") == declared


def test_the_package_is_typed():
    package = Path(importlib.import_module("estimand.exceptions").__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "__init__.pyi").exists()


@pytest.mark.parametrize("kernel", sorted(path.stem for path in (ROOT / "cython_ext").glob("*.pyx")))
def test_every_kernel_is_built_and_typed(kernel):
    module = importlib.import_module(f"estimand.cython_ext.{kernel}")
    assert not module.__file__.endswith(".py")
    stub = ast.parse((ROOT / "cython_ext" / f"{kernel}.pyi").read_text())
    declared = {node.name for node in stub.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert declared
    assert declared <= set(dir(module))
