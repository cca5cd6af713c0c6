"""Configuration of the documentation, which is built without a network."""

import os
import sys
from pathlib import Path

import estimand

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
os.environ.setdefault("MPLBACKEND", "agg")

project = "estimand"
author = "The estimand developers"
copyright = "The estimand developers"
version = release = estimand.__version__

extensions = [
    "generated_pages",
    "mathml",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "auto_examples/sg_execution_times.rst", "sg_execution_times.rst", "**/*.inc"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
html_math_renderer = "mathml"
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", str(HERE / "inventories" / "sklearn.inv")),
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "plot_",
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "min_reported_time": 1e9,
}

html_theme = "pydata_sphinx_theme"
html_title = "estimand"
html_static_path = ["_static"]
html_css_files = ["estimand.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "installation": [], "quick_start": [], "changelog": [], "contributing": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}
