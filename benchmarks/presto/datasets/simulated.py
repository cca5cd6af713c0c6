from benchmark_utils.designs import SIMULATIONS, simulated
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "Simulated"
    parameters = {"design": list(SIMULATIONS), "seed": [0]}

    def get_data(self):
        data = simulated(self.design, self.seed)
        return {"X": data.X, "y": data.y}
