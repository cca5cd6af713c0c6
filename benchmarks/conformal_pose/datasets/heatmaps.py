from benchmark_utils.instances import heatmaps
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Discs from simulated heatmaps, calibrated for a level `alpha`."""

    name = "Heatmaps"
    parameters = {"object_id": [9], "alpha": [0.1, 0.4], "n_instances": [10], "seed": [0]}

    def get_data(self):
        return {"problems": heatmaps(self.n_instances, self.seed, self.object_id, self.alpha)}
