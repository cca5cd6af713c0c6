"""Every package as one function ``(X, D, penalty, n_batches) -> dictionary``, from the same first atoms D.

All run on one thread, if BLAS does, and see batches of `BATCH` signals.
"""

import numpy as np

from estimand.penalties import L0, L1, Lq

BATCH = 256
#: By the coordinate h that they just set to 0, for atoms of length 1.
PENALTIES = {
    "l1": lambda h: L1(h),
    "l0": lambda h: L0(h**2 / 2),
    "lq": lambda h: Lq((2 * h / 3) ** 1.5, q=0.5),
}
#: This h over the root mean square length of the signals: about 10 active atoms a signal.
SHARE = 0.11


def make_penalty(name, X):
    """Return one of the `PENALTIES`, with a strength that suits the signals."""
    return PENALTIES[name](SHARE * float(np.sqrt(np.mean(np.sum(X**2, axis=1)))))


def batches_per_pass(X):
    return -(-len(X) // BATCH)


def work(X, n_batches):
    """Return signals and a number of passes over them that make about so many batches: part of a pass, or whole ones.

    The signals are in random order: the first ones are as good as any.
    """
    passes = n_batches // batches_per_pass(X)
    return (X, passes) if passes else (X[: n_batches * BATCH], 1)


def estimand(X, D, penalty, n_batches):
    from estimand import LqDictionaryLearning

    signals, passes = work(X, n_batches)
    model = LqDictionaryLearning(
        len(D), penalty=penalty, batch_size=BATCH, max_iter=passes, tol=0, init=D, random_state=0, n_jobs=1
    )
    return model.fit(signals).components_


def sklearn(X, D, penalty, n_batches):
    from sklearn.decomposition import MiniBatchDictionaryLearning

    signals, passes = work(X, n_batches)
    model = MiniBatchDictionaryLearning(
        len(D), alpha=penalty.alpha, batch_size=BATCH, max_iter=passes, fit_algorithm="cd", max_no_improvement=None,
        tol=0, dict_init=D, random_state=0, n_jobs=1,
    )  # fmt: skip
    return model.fit(signals).components_


def spams(X, D, penalty, n_batches):
    from spams import trainDL

    signals, first = np.asfortranarray(X.T), np.asfortranarray(D.T)
    return trainDL(
        signals, D=first, lambda1=penalty.alpha, mode=2, batchsize=BATCH, iter=n_batches, numThreads=1, verbose=False
    ).T
