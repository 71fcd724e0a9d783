"""The docs as pages: python -m sphinx -c docs . site (`pip install '.[docs]'`).

The folder of the sources is the project's, so that the pages may link what is beside them: the README, the manual of
the template, programs.
"""

import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, ROOT)

project = "beam-image-embeddings"
author = "The authors of beam-image-embeddings"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/*/*.md", "*.md", "templates/README.md", "benchmarks/results/*.md"]
# The tables of single measurements, to which the page on speed links.
suppress_warnings = ["toc.not_included"]
html_theme = "furo"
html_title = project
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
