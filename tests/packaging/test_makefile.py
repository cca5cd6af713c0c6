"""What ``make`` says on a machine that lacks something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt" or shutil.which("make") is None, reason="needs make and a POSIX shell")

ROOT = Path(__file__).parents[2]


def complaint(tmp_path, body, **environment):
    """Return what make prints where `body` is the shell script that stands in for Python."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    stamp = f"{tmp_path}/venv/.build-tools"
    done = subprocess.run(
        ["make", "-C", str(ROOT), f"VENV={tmp_path}/venv", f"PYTHON={python}", stamp],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode != 0
    assert not (tmp_path / "venv").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("body", "problem", "remedy"),
    [
        ('case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2;; esac', "is Python 3.9.2", "3.11"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "virtual environments", "apt-get install python3-venv"),
        ('case "$*" in *sysconfig*) echo /nowhere;; esac', "Python.h", "apt-get install python3-dev"),
    ],
    ids=["old Python", "no venv", "no headers"],
)
def test_names_what_is_missing_and_how_to_install_it(tmp_path, body, problem, remedy):
    message = complaint(tmp_path, body)
    assert problem in message
    assert remedy in message


def test_names_a_missing_compiler(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "find", "make"):
        (tools / tool).symlink_to(shutil.which(tool))
    message = complaint(tmp_path, f'exec {sys.executable} "$@"', PATH=str(tools), CC="")
    assert "no C compiler" in message
    assert "gcc" in message
