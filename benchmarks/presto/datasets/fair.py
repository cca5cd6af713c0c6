from benchopt import BaseDataset
from statsmodels.datasets import fair


class Dataset(BaseDataset):
    """Ratings of marriages, from very good (0) to the rare very poor (4)."""

    name = "Fair"

    def get_data(self):
        data = fair.load_pandas().data
        rating = data.pop("rate_marriage")
        return {"X": data.to_numpy(), "y": 5 - rating.to_numpy().astype(int)}
