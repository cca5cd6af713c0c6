"""Write ``sklearn.inv``: the names of scikit-learn that our pages and the docstrings inherited from it refer to.

Run this file after adding a name. The documentation is built without a network, and the whole inventory would be larger
than our pages.
"""

import zlib
from pathlib import Path

LABELS = {
    "accuracy_score": ("modules/model_evaluation.html#accuracy-score", "Accuracy score"),
    "df_output_transform": ("auto_examples/miscellaneous/plot_set_output.html", "Introducing the set_output API"),
    "glossary": ("glossary.html#glossary", "Glossary of Common Terms and API Elements"),
    "metadata_routing": ("metadata_routing.html#metadata-routing", "Metadata Routing"),
    "r2_score": ("modules/model_evaluation.html#r2-score", "R² score, the coefficient of determination"),
    "set_output_api": ("modules/generated/sklearn.set_config.html", "set_output API"),
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html",
        "Introducing the set_output API",
    ),
}
TERMS = ("class", "cv", "estimator", "meta-estimator", "n_jobs", "random_state", "scorer")
OBJECTS = {
    "class": (
        "base.BaseEstimator",
        "linear_model.ElasticNet",
        "linear_model.Lasso",
        "model_selection.GridSearchCV",
        "multiclass.OneVsRestClassifier",
        "pipeline.Pipeline",
    ),
    "exception": ("exceptions.ConvergenceWarning", "exceptions.NotFittedError"),
    "function": ("set_config",),
}
HEADER = """\
# Sphinx inventory version 2
# Project: scikit-learn
# Version: stable
# The remainder of this file is compressed using zlib.
"""


def lines() -> list[str]:
    """Return one line a name: name, role, priority, address, title."""
    labels = [f"{name} std:label -1 {uri} {title}" for name, (uri, title) in LABELS.items()]
    terms = [f"{name} std:term -1 glossary.html#term-{name} -" for name in TERMS]
    objects = [
        f"sklearn.{name} py:{role} 1 modules/generated/sklearn.{name}.html#$ -"
        for role, names in OBJECTS.items()
        for name in names
    ]
    return [*labels, *terms, *objects]


if __name__ == "__main__":
    body = "\n".join(lines()) + "\n"
    Path(__file__).with_name("sklearn.inv").write_bytes(HEADER.encode() + zlib.compress(body.encode(), 9))
