from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import PenalizedLogisticRegression


@parametrize_with_checks([PenalizedLogisticRegression(), PenalizedLogisticRegression(l1_ratio=0.5)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
