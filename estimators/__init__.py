"""Estimators: they validate data, state a problem, hand it to a solver, and read the solution back.

Nothing here imports a kernel; what is minimised is said in each class's docstring.
"""
