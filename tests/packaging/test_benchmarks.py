"""The benchopt benchmarks run: one point of each solver that is installed, on the smallest data."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("benchopt")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2] / "benchmarks"
#: The data to take, with small sizes.
DATASETS = {
    "conformal_pose": "Random[n_instances=1,n_keypoints=5]",
    "dictionary_learning": "Patches[size=8,n_train=600,n_held=50]",
    "lasso": "Dense",
    "presto": "Fair",
    "sparse_coding": "Planted[n_signals=50]",
}


def test_every_benchmark_is_here():
    assert sorted(path.parent.name for path in ROOT.glob("*/objective.py")) == sorted(DATASETS)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_benchmark_runs(name, tmp_path):
    command = [sys.executable, "-P", "-m", "benchopt", "run", str(ROOT / name), "-d", DATASETS[name]]
    limits = ["-n", "1", "-r", "1", "--timeout", "20", "--no-plot", "--no-cache", "--output", str(tmp_path / "run")]
    done = subprocess.run([*command, *limits], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, said
    assert "error" not in said.lower(), said
    assert re.search(r"estimand.*: done", said), said
