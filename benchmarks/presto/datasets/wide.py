from benchmark_utils.designs import wide
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "Wide"
    parameters = {"seed": [0]}

    def get_data(self):
        X, y = wide(self.seed)
        return {"X": X, "y": y}
