from . import datasets as datasets
from . import estimators as estimators
from . import exceptions as exceptions
from . import penalties as penalties
from . import solvers as solvers
from .estimators.lasso import ElasticNet as ElasticNet
from .estimators.lasso import Lasso as Lasso
from .estimators.penalized import PenalizedRegressor as PenalizedRegressor
from .solvers import get_solver as get_solver
from .solvers import list_solvers as list_solvers
from .solvers import register_solver as register_solver

__version__: str
