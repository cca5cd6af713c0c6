"""Small instances of PRESTO's problem, random and degenerate, for tests, documentation and plug-ins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ordinal.examples import crossing_data, data_sets, random_data
from .problem import PrestoProblem

__all__ = ["examples", "random_problem"]


def random_problem(data: dict[str, Any] | None = None, *, fraction: float = 0.1, **options: Any) -> PrestoProblem:
    """Return an instance whose `alpha` is a fraction of the largest useful one.

    Parameters
    ----------
    data : dict or None
        Fields of the problem; None draws them.
    fraction : float
        ``alpha`` over the largest entry of the gradient at the model without features.
    **options
        Further fields of the problem.
    """
    problem = PrestoProblem(**(random_data() if data is None else data), alpha=1.0, **options)
    return problem.at(fraction * problem.scale)


def examples() -> list[tuple[str, PrestoProblem]]:
    """Return named instances; all have a solution that is attained."""
    data = data_sets()
    weights = np.array([0.5, 1.0, 2.0, 3.0])
    instances = {name: random_problem(fields) for name, fields in data.items()}
    instances |= {
        "small_alpha": random_problem(fraction=1e-3),
        "at_alpha_max": random_problem(fraction=1.0),
        "weights": random_problem(weights=weights),
        "free_base": random_problem(base_penalty=0.0),
        "free_feature": random_problem(weights=np.array([0.0, 1.0, 1.0, 1.0])),
        "unpenalised": random_problem(random_data(300, 3, 3), fraction=0.0),
        "elastic_net": random_problem(l1_ratio=0.5),
        "squared_only": random_problem(l1_ratio=0.0),
        "gap_tol": random_problem(gap_tol=1e-6),
        "probit": random_problem(link="probit"),
        "cloglog": random_problem(link="cloglog"),
        "loglog": random_problem(link="loglog"),
        "train": random_problem(random_data(150, 3, 4, seed=7), fraction=0.02, monotone="train"),
        "train_crossing": random_problem(crossing_data(), fraction=1e-3, monotone="train"),
        "box": random_problem(random_data(150, 3, 4, seed=7), fraction=0.02, monotone="box"),
        "box_crossing": random_problem(crossing_data(), fraction=0.01, monotone="box"),
        "everything": random_problem(
            data["sample_weight"], weights=weights, l1_ratio=0.7, base_penalty=0.5, link="probit", fraction=0.03
        ),
    }
    return list(instances.items())
