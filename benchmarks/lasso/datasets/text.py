from benchopt import BaseDataset

from estimand.datasets import make_text_regression


class Dataset(BaseDataset):
    name = "Text"
    parameters = {"seed": [0]}

    def get_data(self):
        data = make_text_regression(random_state=self.seed)
        return {"X": data.X, "y": data.y}
