"""Compiled kernels: typed loops without the GIL.

What lives here decides nothing: no validation, no stopping rule that the caller did not pass, no allocation in loops.
The solvers call these kernels; estimators never do.
"""
