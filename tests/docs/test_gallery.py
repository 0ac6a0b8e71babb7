"""The gallery has a script for each display, and each of them draws."""

import re
from pathlib import Path

import pytest

from fastconv import plots

GALLERY = Path(__file__).resolve().parents[2] / "docs/gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))

pytestmark = pytest.mark.skipif(not SCRIPTS, reason="the source tree is not here")


def test_there_is_a_script_for_each_display():
    shown = {path.stem: re.findall(r"plots\.(\w+Display)", path.read_text()) for path in SCRIPTS}
    assert sorted(name for names in shown.values() for name in names) == sorted(
        name for name in plots.__all__ if name.endswith("Display"))
    for stem, (name,) in shown.items():
        assert name == "".join(map(str.capitalize, stem.split("_"))) + "Display"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_draws_one_figure_and_says_it(path, capsys):
    matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.close("all")
    namespace = {"__name__": "gallery"}
    try:
        exec(compile(path.read_text(), path, "exec"), namespace)
        assert len(pyplot.get_fignums()) == 1
    finally:
        pyplot.close("all")
    assert namespace["__doc__"] and capsys.readouterr().out.strip() == namespace["display"].describe()
