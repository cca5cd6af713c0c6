"""Tables made from the package itself, for the documentation and, run as a script, for ``README.md``.

The API reference and the pages of the guide are put together in ``generated_pages.py``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import estimand
from estimand.solvers import Problem, Solver
from estimand.solvers.registry import PROBLEMS

README = Path(__file__).parents[2] / "README.md"


def stub_names() -> tuple[dict[str, list[str]], list[str]]:
    """Return the public names by the module that they come from, and the public modules, as the stub lists them."""
    stub = Path(inspect.getfile(Solver)).parents[1] / "__init__.pyi"
    names: dict[str, list[str]] = {}
    modules = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is None:
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.setdefault(node.module.partition(".")[0], []).extend(alias.name for alias in node.names)
    return names, modules


def problems() -> dict[str, type[Problem]]:
    """Return the problem classes by name."""
    return {name: importlib.import_module(path, "estimand.solvers").PROBLEM for name, path in PROBLEMS.items()}


def backends(problem: str) -> list[type[Solver]]:
    """Return the built-in backends of a problem, installed or not."""
    module = importlib.import_module(PROBLEMS[problem], "estimand.solvers")
    classes = []
    for path in module.BACKENDS.values():
        file, _, name = path.partition(":")
        classes.append(getattr(importlib.import_module(file, module.__name__), name))
    return classes


def summary(item: object) -> str:
    """Return the first line of a docstring in Markdown, without its full stop."""
    line = (inspect.getdoc(item) or "").partition("\n")[0].rstrip(".")
    return re.sub(r"`+([^`]+)`+", r"`\1`", re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", line))


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def estimator_table() -> str:
    """Return the public estimators and functions of the statistical floor."""
    names, _ = stub_names()
    rows = [(f"`{name}`", summary(getattr(estimand, name))) for name in sorted(names.get("estimators", []))]
    return markdown(("name", "what it is"), rows)


def backend_table() -> str:
    """Return the problems and their built-in backends."""
    rows = [
        (f"`{problem}`", f"`{cls.name}`", summary(cls), ", ".join(f"`{package}`" for package in cls.requires) or "")
        for problem in PROBLEMS
        for cls in backends(problem)
    ]
    return markdown(("problem", "solver", "method", "needs"), rows)


def with_tables(text: str) -> str:
    """Return the text of the README with its tables made anew."""
    for name, table in (("estimators", estimator_table()), ("backends", backend_table())):
        start, end = f"<!-- {name}: make readme -->", f"<!-- end of {name} -->"
        pattern = re.escape(start) + ".*?" + re.escape(end)
        text, count = re.subn(pattern, lambda _, body=f"{start}\n{table}\n{end}": body, text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"{README} must hold the markers {start!r} and {end!r} once.")
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
