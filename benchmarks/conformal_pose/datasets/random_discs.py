from benchmark_utils.instances import random_discs
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Discs of all sizes from 3 to 10 pixels, and more or fewer keypoints."""

    name = "Random"
    parameters = {"n_keypoints": [5, 9, 20], "n_instances": [10], "seed": [0]}

    def get_data(self):
        return {"problems": random_discs(self.n_instances, self.seed, self.n_keypoints)}
