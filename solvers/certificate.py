"""The certificate: what is proved, or measured, about a point, in the problem's own terms.

Certificates are made by problems (:meth:`Problem.certify`); solvers only read them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

__all__ = ["Certificate"]

R = TypeVar("R")

_EPS = float(np.finfo(np.float64).eps)

#: Kinds of certificate. The first two prove; the residuals measure; "solver" is a backend's own word.
KINDS = ("gap", "bounds", "kkt", "fixed_point", "gap_estimate", "solver")


def changed(record: R, **values: Any) -> R:
    """Return a copy of a frozen record with other values, which are taken as they are.

    :func:`dataclasses.replace` makes and checks a new one, which on a path of small problems takes as long as solving.
    """
    other = object.__new__(type(record))
    vars(other).update(vars(record), **values)
    return other


def _frozen(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(dict(values or {}))


@dataclass(frozen=True, eq=False, kw_only=True)
class Certificate:
    """An optimality certificate of one point of one problem.

    Parameters
    ----------
    kind : {"gap", "bounds", "kkt", "fixed_point", "gap_estimate", "solver"}
        ``"gap"``: `value` bounds the suboptimality. ``"bounds"``: `value` is ``upper - lower``. The others are
        residuals that vanish at a solution.
    value : float
        What is compared with ``tol * scale``.
    scale : float
        What `tol` counts in, positive and finite.
    tol : float
        The tolerance that was asked for.
    lower, upper : float, default -inf and inf
        Proved bounds on the optimal value.
    floor : float, default 0
        The smallest `value` that float64 arithmetic lets this certificate reach at this point.
    parts : mapping of str to float
        Raw numbers behind `value`.
    byproducts : mapping of str to object
        Arrays computed on the way that a solver may reuse; dropped from solutions.

    Raises
    ------
    ValueError
        If `kind` is not in the list, or `scale` not positive and finite.

    Examples
    --------
    >>> from estimand.solvers import Certificate
    >>> certificate = Certificate.from_bounds("gap", 1.0, 1.5, scale=10.0, tol=0.1)
    >>> certificate.value, certificate.relative, certificate.converged
    (0.5, 0.05, True)
    """

    kind: str
    value: float
    scale: float
    tol: float
    lower: float = -math.inf
    upper: float = math.inf
    floor: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    byproducts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r} is not a kind of certificate: use one of {', '.join(KINDS)}.")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale={self.scale!r} must be positive and finite.")
        object.__setattr__(self, "parts", _frozen(self.parts))
        object.__setattr__(self, "byproducts", _frozen(self.byproducts))

    @classmethod
    def from_bounds(
        cls,
        kind: str,
        lower: float,
        upper: float,
        *,
        scale: float,
        tol: float,
        parts: Mapping[str, float] | None = None,
        byproducts: Mapping[str, Any] | None = None,
    ) -> Certificate:
        """Make a certificate whose value is ``upper - lower``, never below the rounding errors of the bounds.

        These are at least the unit roundoff times `upper`, and as large as a lower bound is above it.
        """
        value = upper - lower
        floor = max(_EPS * abs(upper), -value) if math.isfinite(upper) else 0.0  # infeasibility is no rounding error
        if not math.isnan(value):
            value = max(value, floor)
        return cls(
            kind=kind,
            value=float(value),
            scale=float(scale),
            tol=float(tol),
            lower=float(lower),
            upper=float(upper),
            floor=floor,
            parts=parts or {},
            byproducts=byproducts or {},
        )

    @property
    def converged(self) -> bool:
        """Whether ``value <= tol * scale``."""
        return self.value <= self.tol * self.scale

    @property
    def relative(self) -> float:
        """``value / scale``: the figure to compare with `tol`."""
        return self.value / self.scale

    def compact(self) -> Certificate:
        """Return the same certificate without the arrays."""
        return changed(self, byproducts=_frozen(None)) if self.byproducts else self

    def with_lower(self, lower: float) -> Certificate:
        """Return this gap certificate with the better of its own and another proved lower bound."""
        if not lower > self.lower:
            return self
        tightened = Certificate.from_bounds(self.kind, lower, self.upper, scale=self.scale, tol=self.tol)
        return changed(self, lower=lower, value=tightened.value, floor=tightened.floor)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle.
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["parts"], values["byproducts"] = dict(self.parts), dict(self.byproducts)
        return _rebuild, (values,)


def _rebuild(values: dict[str, Any]) -> Certificate:
    return Certificate(**values)
