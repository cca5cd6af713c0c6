"""The signals that the benchmark codes, with the dictionary to code them in."""

import numpy as np
from sklearn.datasets import load_sample_images

from estimand.datasets import extract_whitened_patches


def patches(size, n_signals, seed):
    """Return whitened patches of scikit-learn's two photographs, and twice as many atoms as pixels, patches as well.

    Most of a photograph is flat: about half of the patches have the code 0.
    """
    n_atoms = 2 * size**2
    drawn = extract_whitened_patches(load_sample_images().images, n_signals + n_atoms, size, random_state=seed)
    return drawn[:n_signals], normalised(drawn[n_signals:])


def planted(n_signals, seed, n_features=100, n_atoms=200, n_active=10):
    """Return sums of a few random atoms, and noise 20 dB below them; all signals are about equally hard."""
    rng = np.random.default_rng(seed)
    D = normalised(rng.standard_normal((n_atoms, n_features)))
    codes = np.zeros((n_signals, n_atoms))
    support = rng.permuted(np.tile(np.arange(n_atoms), (n_signals, 1)), axis=1)[:, :n_active]
    values = rng.choice([-1.0, 1.0], support.shape) * rng.uniform(0.5, 1.5, support.shape)
    np.put_along_axis(codes, support, values, axis=1)
    clean = codes @ D
    return clean + 0.1 * np.sqrt(np.mean(clean**2)) * rng.standard_normal(clean.shape), D


def normalised(D):
    """Return atoms of length 1."""
    return D / np.linalg.norm(D, axis=1, keepdims=True)
