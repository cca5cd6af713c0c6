from benchopt import BaseDataset

from estimand.datasets import make_ill_conditioned_regression


class Dataset(BaseDataset):
    name = "Ill conditioned"
    parameters = {"design": ["walk", "common", "mixture", "rbf"], "seed": [0]}

    def get_data(self):
        data = make_ill_conditioned_regression(self.design, random_state=self.seed)
        return {"X": data.X, "y": data.y}
