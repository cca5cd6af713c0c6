from benchopt import BaseDataset
from statsmodels.datasets import anes96


class Dataset(BaseDataset):
    """Political self-placement, from extremely liberal (0) to extremely conservative (6)."""

    name = "ANES 1996"

    def get_data(self):
        data = anes96.load_pandas().data
        columns = ["logpopul", "TVnews", "PID", "age", "educ", "income"]
        return {"X": data[columns].to_numpy(), "y": data["selfLR"].to_numpy().astype(int) - 1}
