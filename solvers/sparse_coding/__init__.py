"""Penalised sparse coding: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import SparseCodingProblem

__all__ = ["BACKENDS", "PROBLEM", "SparseCodingProblem", "choose"]

PROBLEM = SparseCodingProblem

BACKENDS: Mapping[str, str] = {
    "working_set_cd": ".working_set_cd:WorkingSetCD",
    "graduated": ".graduated:Graduated",
    "cyclic_cd": ".cyclic_cd:CyclicCD",
    "ista": ".ista:ISTA",
    "fista": ".fista:FISTA",
    "lca": ".lca:LCA",
    "omp": ".omp:OMP",
    "homotopy": ".homotopy:Homotopy",
    "enumerate": ".enumerate:Enumerate",
    "sklearn": ".sklearn:Sklearn",
    "cvxpy": ".by_signal:CVXPY",
}


def choose(problem: SparseCodingProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    if not problem.penalty.is_convex and "graduated" in qualified:
        return "graduated", "the penalty is not convex: continuation finds better minima"
    if "homotopy" in qualified:
        return "homotopy", "l1: exact paths on the Gram matrix of the atoms are faster than descent"
    for name in ("working_set_cd", "ista"):
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
