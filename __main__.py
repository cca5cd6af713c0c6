"""``python -m estimand``: versions, threads, and the table of problems and backends."""

from estimand import list_solvers

print(list_solvers())
