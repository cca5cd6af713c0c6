from . import datasets as datasets
from . import displays as displays
from . import estimators as estimators
from . import exceptions as exceptions
from . import metrics as metrics
from . import penalties as penalties
from . import solvers as solvers
from .estimators.lasso import ElasticNet as ElasticNet
from .estimators.lasso import Lasso as Lasso
from .estimators.lasso_cv import ElasticNetCV as ElasticNetCV
from .estimators.lasso_cv import LassoCV as LassoCV
from .estimators.lasso_path import enet_path as enet_path
from .estimators.lasso_path import lasso_path as lasso_path
from .estimators.logistic import PenalizedLogisticRegression as PenalizedLogisticRegression
from .estimators.penalized import PenalizedRegressor as PenalizedRegressor
from .estimators.presto.classifier import PrestoClassifier as PrestoClassifier
from .estimators.presto.cross_validation import PrestoClassifierCV as PrestoClassifierCV
from .estimators.presto.parallel_test import parallel_test as parallel_test
from .estimators.presto.path import presto_path as presto_path
from .estimators.presto.proportional_odds import ProportionalOddsClassifier as ProportionalOddsClassifier
from .estimators.presto.separate_logit import SeparateLogitClassifier as SeparateLogitClassifier
from .solvers import get_solver as get_solver
from .solvers import list_solvers as list_solvers
from .solvers import register_solver as register_solver
from .solvers import show_versions as show_versions

__version__: str
