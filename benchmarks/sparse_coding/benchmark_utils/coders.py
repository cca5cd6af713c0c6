"""Every package as one function ``(problem, tol) -> codes``, with `tol` in its package's own scale.

All run on one thread, if BLAS does. All compute Gram matrices anew: nothing is shared with the problem that judges.
"""

import warnings

import numpy as np

from estimand.penalties import L0, L1, MCP, Lq
from estimand.solvers import resolve_solver
from estimand.solvers.sparse_coding import SparseCodingProblem

#: By the coordinate h that they just set to 0, for atoms of length 1.
PENALTIES = {
    "l1": lambda h: L1(h),
    "l0": lambda h: L0(h**2 / 2),
    "lq": lambda h: Lq((2 * h / 3) ** 1.5, q=0.5),
    "mcp": lambda h: MCP(h, gamma=3.0),
}
#: This h over the root mean square length of the signals: 5 to 20 active atoms a signal.
SHARE = 0.11


def make_problem(name, X, D):
    """Return the problem with a penalty of `PENALTIES`."""
    h = SHARE * float(np.sqrt(np.mean(np.sum(X**2, axis=1))))
    return SparseCodingProblem(X=X, D=D, penalty=PENALTIES[name](h))


def estimand(backend, problem, tol):
    problem = SparseCodingProblem(X=problem.X, D=problem.D, penalty=problem.penalty)
    solver, _ = resolve_solver(backend, problem, options={"n_jobs": 1})
    return solver.solve(problem, tol=tol).x


def lasso_cd(problem, tol):
    """Run what scikit-learn's ``sparse_encode`` does with ``"lasso_cd"``, where the tolerance is always 1e-8."""
    from sklearn.linear_model import Lasso

    D, d = problem.D, problem.D.shape[1]
    model = Lasso(problem.penalty.alpha / d, fit_intercept=False, precompute=D @ D.T, tol=tol, max_iter=10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the certificate says whether it converged
        return model.fit(D.T, problem.X.T, check_input=False).coef_.reshape(-1, D.shape[0])


def lasso_lars(problem, tol):
    """Run scikit-learn's least angle regression; there is no tolerance to choose."""
    from sklearn.decomposition import sparse_encode

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sparse_encode(
            problem.X, problem.D, algorithm="lasso_lars", alpha=problem.penalty.alpha, max_iter=10_000, n_jobs=1
        )


def spams(problem, tol):
    """Run the least angle regression of SPAMS; there is no tolerance to choose. The codes are sparse."""
    from spams import lasso

    X, D = np.asfortranarray(problem.X.T), np.asfortranarray(problem.D.T)
    return lasso(X, D, lambda1=problem.penalty.alpha, mode=2, numThreads=1).T


def sporco(problem, tol):
    """Run the alternating direction method of SPORCO, on all signals together."""
    from sporco.admm.bpdn import BPDN

    options = BPDN.Options({"RelStopTol": tol, "MaxMainIter": 5000, "AutoRho": {"Enabled": True}})
    return BPDN(problem.D.T, problem.X.T, problem.penalty.alpha, options).solve().T


def skglm(problem, tol):
    """Code one signal after another; the loss is divided by the number of features, and so are the penalties."""
    from skglm import penalties
    from skglm.datafits import Quadratic
    from skglm.solvers import AndersonCD

    own, A = problem.penalty, np.asfortranarray(problem.D.T)
    d, n_atoms = A.shape
    penalty = {
        "l1": lambda: penalties.L1(own.alpha / d),
        "lq": lambda: penalties.L0_5(own.alpha / d),
        "mcp": lambda: penalties.MCPenalty(own.alpha / d, own.gamma * d),
    }[own.name]()
    # Every number is a subgradient of a power at 0: only fixed points tell which coordinates are to leave it.
    strategy, unit = ("fixpoint", 1) if own.name == "lq" else ("subdiff", d)
    codes = np.empty((len(problem.X), n_atoms))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, signal in enumerate(problem.X):
            length = float(np.linalg.norm(signal))
            solver = AndersonCD(max_iter=1000, tol=tol * length / unit, ws_strategy=strategy, fit_intercept=False)
            codes[i] = solver.solve(A, signal, Quadratic(), penalty, run_checks=False)[0]
    return codes
