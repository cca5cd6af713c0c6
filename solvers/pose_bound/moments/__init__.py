"""Semidefinite relaxations of pose-bound problems: moments of poses, their solvers, and bounds from any multipliers."""
