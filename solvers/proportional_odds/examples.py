"""Small instances of the proportional-odds problem, random and degenerate, for tests, documentation and plug-ins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ordinal.examples import data_sets, random_data
from .problem import ProportionalOddsProblem

__all__ = ["examples", "random_problem"]


def random_problem(
    data: dict[str, Any] | None = None, *, fraction: float = 0.0, **options: Any
) -> ProportionalOddsProblem:
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
    problem = ProportionalOddsProblem(**(random_data() if data is None else data), alpha=1.0, **options)
    return problem.at(fraction * problem.scale)


def examples() -> list[tuple[str, ProportionalOddsProblem]]:
    """Return named instances; all have a solution that is attained."""
    data = data_sets()
    weights = np.array([0.0, 1.0, 2.0, 3.0])
    likelihood = {name: random_problem(data[name]) for name in data if name not in ("wide", "one_row_a_class")}
    return [
        *likelihood.items(),
        ("wide", random_problem(data["wide"], fraction=0.1)),
        ("one_row_a_class", random_problem(data["one_row_a_class"], fraction=0.1)),
        ("lasso", random_problem(fraction=0.1)),
        ("at_alpha_max", random_problem(fraction=1.0)),
        ("ridge", random_problem(fraction=0.1, l1_ratio=0.0)),
        ("wide_ridge", random_problem(data["wide"], fraction=0.1, l1_ratio=0.0)),
        ("elastic_net", random_problem(fraction=0.1, l1_ratio=0.5)),
        ("weights", random_problem(fraction=0.1, weights=weights)),
        ("gap_tol", random_problem(fraction=0.1, gap_tol=1e-6)),
        ("probit", random_problem(link="probit")),
        ("cloglog", random_problem(link="cloglog")),
        ("loglog", random_problem(link="loglog")),
        ("everything", random_problem(
            data["sample_weight"], weights=weights, l1_ratio=0.7, link="probit", fraction=0.03
        )),
    ]  # fmt: skip
