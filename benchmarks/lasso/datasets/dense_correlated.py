from benchopt import BaseDataset

from estimand.datasets import make_sparse_regression


class Dataset(BaseDataset):
    name = "Dense"
    parameters = {"seed": [0]}

    def get_data(self):
        data = make_sparse_regression(1000, 10000, random_state=self.seed)
        return {"X": data.X, "y": data.y}
