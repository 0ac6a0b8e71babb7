"""How Sphinx makes the documentation: every cell of the course and every script of the gallery runs meanwhile.

    pip install '.[docs]'
    sphinx-build -W -j 2 docs build/docs

Nothing is fetched from the network.
"""

import os
import re
import sys
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

import fastconv

# A backend that was chosen for scripts would leave the course without pictures: notebooks have their own.
os.environ.pop("MPLBACKEND", None)

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
import lecture_map  # noqa: E402 (beside this file)

project = "fastconv"
author = "the authors of fastconv"
release = fastconv.__version__
language = "en"
extensions = ["myst_nb", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["gallery/*.rst", "gallery/*.py", "gallery_made/*.ipynb", "gallery_made/*.py"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"fastconv {release}"
html_show_copyright = False
html_show_sphinx = False

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 60
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_made",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1e6,
    "write_computation_times": False,
}

REPOSITORY = "https://github.com/fastconv/fastconv/blob/main/"


class LectureMap(SphinxDirective):
    """The table of the lecture's map in the language that is the directive's argument."""

    required_arguments = 1

    def run(self):
        self.env.note_dependency(lecture_map.__file__)
        return self.parse_text_to_nodes(lecture_map.page(self.arguments[0]))


def link_to_repository(app, docname, source):
    """Links from a page to files outside docs/ are right where the pages lie, and lead to the repository here."""
    def target(match):
        path = (DOCS / docname).parent.joinpath(match[1]).resolve()
        inside = path.is_relative_to(DOCS)
        return match[0] if inside else f"]({REPOSITORY}{path.relative_to(DOCS.parent).as_posix()})"
    source[0] = re.sub(r"\]\((\.\./[^)#\s]+)\)", target, source[0])


def setup(app):
    app.add_directive("lecture-map", LectureMap)
    app.connect("source-read", link_to_repository)
