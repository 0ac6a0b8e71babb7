"""Every page of the documentation is in the contents of the website, once."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

pytestmark = pytest.mark.skipif(not (DOCS / "index.md").exists(), reason="the source tree is not here")


def contents():
    """The pages that the tables of contents name, without their ending; a star stands for all of a folder."""
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text(), re.S | re.M)
    names = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    for name in names:
        if "*" in name:
            yield from (path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.glob(f"{name}.md"))
        else:
            yield name


def test_every_page_is_in_the_contents_once():
    written = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")
               if "gallery_made" not in path.parts}
    assert sorted(contents()) == sorted({*written, "gallery_made/index"} - {"index"})
