"""Write the pages that are made from the package itself: the API reference and the tables of backends."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import estimand
from estimand.solvers.registry import PROBLEMS
from sphinx.application import Sphinx

#: Module of a public name -> heading of its section.
SECTIONS = {"estimators": "Estimators", "solvers": "Solvers and the registry", "penalties": "Penalties"}


def underlined(title: str, character: str) -> str:
    """Return a heading."""
    return f"{title}\n{character * len(title)}\n"


def autosummary(module: str, names: list[str]) -> str:
    """Return the table of `names` of `module`, each with a page of its own."""
    lines = "\n".join(f"   {name}" for name in names)
    return f".. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{lines}\n"


def stub_names() -> tuple[dict[str, list[str]], list[str]]:
    """Return the public names by section and the public modules, as the stub lists them."""
    stub = Path(estimand.__file__).with_name("__init__.pyi")
    names: dict[str, list[str]] = {}
    modules = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is None:
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.setdefault(node.module.partition(".")[0], []).extend(alias.name for alias in node.names)
    return names, modules


def api_page() -> str:
    """Return the API reference: the names of the package, then those of its modules."""
    names, modules = stub_names()
    parts = [
        underlined("API reference", "="),
        "Everything public, from the names of ``estimand`` itself to those of its modules.\n",
    ]
    for section, listed in names.items():
        parts += [underlined(SECTIONS.get(section, section.capitalize()), "-"), autosummary("estimand", sorted(listed))]
    for module in modules:
        listed = getattr(importlib.import_module(f"estimand.{module}"), "__all__", [])
        own = [name for name in listed if name not in dir(estimand)]
        if own:
            parts += [underlined(f"estimand.{module}", "-"), autosummary(f"estimand.{module}", own)]
    for problem, path in PROBLEMS.items():
        module = importlib.import_module(path, "estimand.solvers")
        listed = [module.PROBLEM.__name__]
        parts += [underlined(f"estimand.solvers.{problem}", "-"), autosummary(module.__name__, listed)]
    return "\n".join(parts)


def backend_tables() -> str:
    """Return a table of backends for each problem."""
    parts = []
    for problem, path in PROBLEMS.items():
        module = importlib.import_module(path, "estimand.solvers")
        parts.append(underlined(problem, "~"))
        parts.append(
            f":class:`~{module.__name__}.{module.PROBLEM.__name__}`. Optional requests of its instances: "
            f"{', '.join(f'``{word}``' for word in requests(problem))}.\n"
        )
        parts.append(".. list-table::\n   :header-rows: 1\n   :widths: 20 15 45 20\n")
        parts.append("   * - solver\n     - guarantee\n     - supports\n     - needs")
        for info in estimand.list_solvers(problem):
            needs = ", ".join(f"``{package}``" for package in info.requires) or "nothing more"
            words = " ".join(f"``{word}``" for word in info.supports)
            parts.append(f"   * - ``{info.name}``\n     - {info.guarantee}\n     - {words}\n     - {needs}")
        parts.append("")
    return "\n".join(parts)


def requests(problem: str) -> list[str]:
    """Return the words that some backend of `problem` supports."""
    return sorted({word for info in estimand.list_solvers(problem) for word in info.supports} - {"callback"})


def write(app: Sphinx, config: object) -> None:
    """Write what has changed, before the sources are read."""
    source = Path(app.srcdir)
    pages = {source / "api" / "index.rst": api_page(), source / "user_guide" / "backends.inc": backend_tables()}
    for file, text in pages.items():
        file.parent.mkdir(exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages as soon as the configuration is read."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
