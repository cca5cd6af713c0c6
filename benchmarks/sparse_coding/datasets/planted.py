from benchmark_utils.signals import planted
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "Planted"
    parameters = {"n_signals": [2000], "seed": [0]}

    def get_data(self):
        X, D = planted(self.n_signals, self.seed)
        return {"X": X, "D": D}
