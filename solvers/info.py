"""The environment report: versions and threads, as a bug report or a benchmark needs them.

The table of problems and backends is the registry's.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from threadpoolctl import threadpool_info

from .registry import list_solvers

__all__ = ["show_versions"]

_PACKAGE = __package__.partition(".")[0]


def show_versions() -> None:
    """Print the versions of Python, of estimand and of the packages it can use, and the BLAS and OpenMP threads.

    See Also
    --------
    list_solvers : The table of problems and backends, which ``python -m estimand`` prints as well.

    Examples
    --------
    >>> from estimand import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    System
      python ...
      machine ...
    Packages
      estimand ...
      numpy ...
    """
    print("\n".join(_section(title, lines) for title, lines in _report().items()))


def _report() -> dict[str, list[tuple[str, str]]]:
    core = _core_packages()
    optional = sorted({package for info in list_solvers() for package in info.requires} - set(core))
    return {
        "System": [("python", f"{platform.python_version()} ({sys.executable})"), ("machine", platform.platform())],
        "Packages": [(name, _version(name)) for name in (_PACKAGE, *core, *optional)],
        "Threads": [(pool["internal_api"], _threads(pool)) for pool in threadpool_info()],
    }


def _core_packages() -> list[str]:
    """Return the names of the packages that estimand cannot do without."""
    names = (re.match(r"[\w.-]+", line) for line in requires(_PACKAGE) or () if "extra ==" not in line)
    return [name.group() for name in names if name]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _threads(pool: dict[str, object]) -> str:
    return " ".join(str(word) for word in (pool["num_threads"], "of", pool["prefix"], pool["version"] or "") if word)


def _section(title: str, lines: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in lines)])
