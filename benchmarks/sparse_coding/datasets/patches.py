from benchmark_utils.signals import patches
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Whitened patches, with twice as many atoms as pixels: 128, 288 and 512."""

    name = "Patches"
    parameters = {"size": [8, 12, 16], "n_signals": [2000], "seed": [0]}

    def get_data(self):
        X, D = patches(self.size, self.n_signals, self.seed)
        return {"X": X, "D": D}
