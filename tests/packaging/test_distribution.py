"""The sdist, and the wheel that is built from it in a folder whose name is no identifier."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def call(*arguments, cwd):
    done = subprocess.run([sys.executable, "-P", *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("sdist")
    call(
        "-m",
        "build",
        "--sdist",
        "--no-isolation",
        "--skip-dependency-check",
        "--outdir",
        str(folder),
        str(ROOT),
        cwd=folder,
    )
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(sdist, folder)
    (source,) = folder.iterdir()
    assert "-" in source.name
    out = folder / "dist"
    call(
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--skip-dependency-check",
        "--outdir",
        str(out),
        str(source),
        cwd=folder,
    )
    (archive,) = out.glob("*.whl")
    return archive


def test_sdist_holds_what_is_needed_to_build_test_and_cite(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "meson.build", "LICENSE", "README.md", "CITATION.cff", "py.typed"} <= names
    assert "tests/packaging/test_distribution.py" in names


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    roots = {name.partition("/")[0] for name in names}
    assert {root.partition("-")[0] for root in roots} <= {"estimand", "estimand.libs"}
    inside = {Path(name).parts[1] for name in names if name.startswith("estimand/") and len(Path(name).parts) > 2}
    assert inside == packages
    assert {f"estimand/{name}" for name in ("__init__.pyi", "__main__.py", "py.typed")} <= set(names)
    assert not [name for name in names if "__pycache__" in name or Path(name).suffix in (".pyx", ".pxd", ".c")]


def test_wheel_holds_every_kernel_and_its_stub(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("estimand/cython_ext/")]
    kernels = {path.stem for path in (ROOT / "cython_ext").glob("*.pyx")}
    assert {Path(name).name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))} == kernels
    assert {Path(name).stem for name in names if name.endswith(".pyi")} == kernels


def test_wheel_works(wheel, tmp_path):
    target = tmp_path / "installed"
    offline = ("-q", "--no-index", "--no-deps")
    call("-m", "pip", "install", *offline, "--target", str(target), str(wheel), cwd=tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(target)!r})
# The finder of an editable install would come first.
sys.meta_path[:] = [finder for finder in sys.meta_path if "Mesonpy" not in type(finder).__name__]
import numpy as np
import estimand
assert estimand.__file__.startswith({str(target)!r}), estimand.__file__
X = np.random.default_rng(0).standard_normal((20, 5))
print(estimand.Lasso(alpha=0.1).fit(X, X[:, 0]).solution_.status)
"""
    assert call("-c", code, cwd=tmp_path).strip() == "converged"
