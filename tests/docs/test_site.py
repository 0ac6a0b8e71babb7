"""The documentation as Sphinx makes it: without a warning, without the network, all pages linked."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

pytestmark = [pytest.mark.docs, pytest.mark.skipif(not DOCS.is_dir(), reason="the source tree is not here")]

# A process in which no address can be reached but this machine's: kernels talk to Sphinx over its ports.
OFFLINE = """
import runpy, socket, sys
connect = socket.socket.connect
def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"the network is not to be used: {address}")
    return connect(self, address)
socket.socket.connect = refuse
sys.argv = ["sphinx-build", *sys.argv[1:]]
runpy.run_module("sphinx", run_name="__main__")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as files, made of a copy of the sources: the gallery writes beside them."""
    for module in ("sphinx", "myst_nb", "furo", "sphinx_gallery"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'fastconv[docs]'")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("gallery_made", "__pycache__"))
    done = subprocess.run([sys.executable, "-c", OFFLINE, "-W", "--keep-going", "-q", "-j", "2", "docs", "site"],
                          cwd=folder, capture_output=True, text=True, timeout=600,
                          env={**os.environ, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return folder / "site"


def pages(site):
    return [path for path in site.rglob("*.html") if "_static" not in path.parts]


def test_every_page_of_docs_is_there(site):
    made = {path.relative_to(site).with_suffix("").as_posix() for path in pages(site)}
    written = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")
               if "gallery_made" not in path.parts}
    assert written <= made
    assert {f"gallery_made/{path.stem}" for path in DOCS.glob("gallery/*.py")} <= made


def test_links_inside_lead_somewhere(site):
    for page in pages(site):
        for target in re.findall(r'(?:href|src)="([^"#?]+)[^"]*"', page.read_text()):
            if "://" not in target and not target.startswith(("data:", "mailto:")):
                assert (page.parent / html.unescape(target)).exists(), f"{page.relative_to(site)}: {target}"


def test_a_page_loads_nothing_from_elsewhere(site):
    for page in pages(site):
        loaded = re.findall(r'<(?:script|img|link)[^>]*?(?:src|href)="(https?:[^"]*)"', page.read_text())
        assert loaded == [], page.relative_to(site)


def test_every_chapter_has_its_pictures(site):
    for page in site.glob("course/*/*.html"):
        assert re.findall(r'<img alt="[^"]*" src="[^"]*_images/', page.read_text()), page.relative_to(site)
