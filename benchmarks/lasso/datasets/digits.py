import numpy as np
from benchopt import BaseDataset
from sklearn.datasets import load_digits


class Dataset(BaseDataset):
    """One pixel of handwritten digits from all the others."""

    name = "Digits"

    def get_data(self):
        images = load_digits().data
        X, y = np.delete(images, 28, axis=1), images[:, 28]
        X = X - X.mean(axis=0)
        return {"X": np.asfortranarray(X), "y": y - y.mean()}
