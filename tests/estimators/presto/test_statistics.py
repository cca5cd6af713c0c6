"""What PRESTO is for: the probability of a rare class, in simulations with the truth known."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from estimand import PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier
from estimand.datasets import make_ordinal_regression


def median_ratios(design, replicates, model, rivals, **options):
    """Return the median over replicates of the mean squared error of P(rare) over that of each rival."""
    ratios = []
    for seed in range(replicates):
        data = make_ordinal_regression(design, random_state=10_000 + seed, **options)
        truth = data.probabilities[:, -1]
        with threadpool_limits(1):
            errors = [
                np.mean((each(seed).fit(data.X, data.y).predict_rare_proba(data.X) - truth) ** 2)
                for each in (model, *rivals)
            ]
        ratios.append(errors[0] / np.array(errors[1:]))
    return np.median(ratios, axis=0)


@pytest.mark.slow
def test_presto_beats_logistic_regression_and_proportional_odds_where_slopes_differ_a_little():
    to_logit, to_odds = median_ratios(
        "sparse",
        20,
        lambda seed: PrestoClassifierCV(random_state=seed),
        [lambda seed: SeparateLogitClassifier(boundaries="rare"), lambda seed: ProportionalOddsClassifier()],
        intercepts=(0, 3.5, 5.5),
        base_probability=0.5,
    )
    assert to_logit < 0.8
    assert to_odds < 0.9


@pytest.mark.slow
def test_where_slopes_are_equal_presto_is_about_as_good_as_proportional_odds():
    (to_odds,) = median_ratios(
        "sparse",
        20,
        lambda seed: PrestoClassifierCV(base_penalty=0.0, random_state=seed),
        [lambda seed: ProportionalOddsClassifier()],
        intercepts=(0, 3.5, 5.5),
        base_probability=0.5,
        deviation=0.0,
    )
    assert 0.9 <= to_odds <= 1.3
