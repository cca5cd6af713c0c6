from benchmark_utils.signals import patches
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Whitened patches, with twice as many atoms as pixels: 128 and 288."""

    name = "Patches"
    parameters = {"size": [8, 12], "n_train": [10_000], "n_held": [1000], "seed": [0]}

    def get_data(self):
        X, X_held, D = patches(self.size, self.n_train, self.n_held, self.seed)
        return {"X": X, "X_held": X_held, "D": D}
