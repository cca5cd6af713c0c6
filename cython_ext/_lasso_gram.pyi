from typing import Final

import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

CONVERGED: Final[int]
BUDGET: Final[int]
ILL_CONDITIONED: Final[int]
FACTOR_FULL: Final[int]

def solve_restricted(
    gram: _Doubles,
    b: _Doubles,
    u: _Doubles,
    q: _Doubles,
    threshold: _Doubles,
    ridge: _Doubles,
    n_cached: int,
    positive: bool,
    yy: float,
    target: float,
    lower: _Doubles,
    order: _Ints,
    place: _Ints,
    factored: int,
    work: _Doubles,
    pending: _Ints,
    block: int,
    n_rounds: int,
    n_support_epochs: int,
    use_newton: bool,
) -> tuple[int, int, float, int]: ...
