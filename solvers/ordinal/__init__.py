"""What the problems of cumulative-link models share: links, probabilities, likelihood, certificate and Newton steps.

The penalised coefficients and how they make slopes are each problem's own.
"""
