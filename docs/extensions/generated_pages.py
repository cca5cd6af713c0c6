"""Write the pages that are made from the package itself: the API reference and the tables of backends."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from sphinx.application import Sphinx
from tables import backends, problems, stub_names

#: Module of a public name -> heading of its section; others are called like the module.
SECTIONS = {"solvers": "Solvers and the registry"}
#: Module -> public names of its submodules: what a function returns, and the test of plug-ins.
FURTHER = {
    "estimators": ["lasso_path.LassoPath", "presto.path.PrestoPath", "presto.parallel_test.ParallelTest"],
    "solvers": ["testing.check_solver"],
}


def underlined(title: str, character: str) -> str:
    """Return a heading."""
    return f"{title}\n{character * len(title)}\n"


def autosummary(module: str, names: list[str]) -> str:
    """Return the table of `names` of `module`, each with a page of its own."""
    lines = "\n".join(f"   {name}" for name in names)
    return f".. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{lines}\n"


def own_names(module: str, known: list[str]) -> list[str]:
    """Return the public classes and functions of a public module that are not `known` already."""
    loaded = importlib.import_module(f"estimand.{module}")
    listed = [(name, getattr(loaded, name)) for name in getattr(loaded, "__all__", [])]
    return [name for name, item in listed if name not in known and (inspect.isclass(item) or inspect.isfunction(item))]


def api_page() -> str:
    """Return the API reference: the names of the package, then those of its modules."""
    names, modules = stub_names()
    parts = [
        underlined("API reference", "="),
        "Everything public: the names of ``estimand`` itself, then those of its modules.\n",
    ]
    for section, listed in names.items():
        parts += [underlined(SECTIONS.get(section, section.capitalize()), "-"), autosummary("estimand", sorted(listed))]
    known = [name for listed in names.values() for name in listed]
    for module in modules:
        own = own_names(module, known) + FURTHER.get(module, [])
        if own:
            parts += [underlined(f"estimand.{module}", "-"), autosummary(f"estimand.{module}", own)]
    for name in problems():
        module = f"estimand.solvers.{name}"
        loaded = importlib.import_module(module)
        stated = [item for item in loaded.__all__ if inspect.isclass(getattr(loaded, item)) and item != "PROBLEM"]
        solvers = [f"{cls.__module__.removeprefix(module + '.')}.{cls.__name__}" for cls in backends(name)]
        parts += [underlined(module, "-"), autosummary(module, [*stated, *solvers])]
    return "\n".join(parts)


def backend_tables() -> str:
    """Return a table of backends for each problem."""
    parts = []
    for name, problem in problems().items():
        classes = backends(name)
        words = sorted({word for cls in classes for word in cls.supports} - {"callback"})
        parts += [
            underlined(name, "~"),
            f":class:`~estimand.solvers.{name}.{problem.__name__}`: its instances may ask for "
            f"{', '.join(f'``{word}``' for word in words)}.\n",
            ".. list-table::\n   :header-rows: 1\n   :widths: 20 15 45 20\n",
            "   * - solver\n     - guarantee\n     - supports\n     - needs",
        ]
        for cls in classes:
            link = f":class:`{cls.name} <{cls.__module__}.{cls.__name__}>`"
            needs = ", ".join(f"``{package}``" for package in cls.requires) or "nothing more"
            supports = " ".join(f"``{word}``" for word in sorted(cls.supports))
            parts.append(f"   * - {link}\n     - {cls.guarantee}\n     - {supports}\n     - {needs}")
        parts.append("")
    return "\n".join(parts)


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
