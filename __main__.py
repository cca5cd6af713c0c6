"""``python -m estimand``: versions, threads, and the table of problems and backends."""

from estimand import list_solvers, show_versions

show_versions()
print(f"Backends\n{list_solvers()}")
