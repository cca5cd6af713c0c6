import numpy as np
from benchopt import BaseDataset
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler


class Dataset(BaseDataset):
    name = "Diabetes, cubic"

    def get_data(self):
        X, y = load_diabetes(return_X_y=True)
        cubic = make_pipeline(StandardScaler(), PolynomialFeatures(3, include_bias=False), StandardScaler())
        return {"X": np.asfortranarray(cubic.fit_transform(X)), "y": y - y.mean()}
