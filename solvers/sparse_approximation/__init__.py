"""Sparse approximation with few atoms or a small error: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import SparseApproximationProblem

__all__ = ["BACKENDS", "PROBLEM", "SparseApproximationProblem", "choose"]

PROBLEM = SparseApproximationProblem

BACKENDS: Mapping[str, str] = {
    "omp": ".omp:OMP",
    "htp": ".htp:HTP",
    "iht": ".iht:IHT",
    "sklearn": ".sklearn:Sklearn",
}


def choose(problem: SparseApproximationProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    for name in BACKENDS:
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
