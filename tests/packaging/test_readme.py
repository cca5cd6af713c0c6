"""The tables of the README are those of the package."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tables_are_up_to_date():
    file = ROOT / "docs" / "extensions" / "tables.py"
    spec = importlib.util.spec_from_file_location("readme_tables", file)
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tables.with_tables(readme) == readme, "run `make readme`"
