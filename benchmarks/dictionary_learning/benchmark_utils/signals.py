"""The signals that the benchmark learns from."""

import numpy as np
from sklearn.datasets import load_sample_images

from estimand.datasets import extract_whitened_patches


def patches(size, n_train, n_held, seed):
    """Return whitened patches of scikit-learn's two photographs: to learn from, held out, and first atoms.

    There are twice as many atoms as pixels, of length 1. Patches are drawn from everywhere in the photographs, so that
    held-out ones overlap with the others.
    """
    n_atoms = 2 * size**2
    images = load_sample_images().images
    drawn = extract_whitened_patches(images, n_train + n_held + n_atoms, size, random_state=seed)
    X, X_held, D = np.split(drawn, [n_train, n_train + n_held])
    return X, X_held, D / np.linalg.norm(D, axis=1, keepdims=True)
