"""The lecture's map: twenty notions, and every name in it exists."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import fastconv
from fastconv import data, plots, walk
from fastconv.cli.commands import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs/lecture_map.py"

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="the source tree is not here")


def table():
    spec = importlib.util.spec_from_file_location("lecture_map", TABLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lecture_map = table() if TABLE.exists() else None
NOTIONS = lecture_map.NOTIONS if lecture_map else ()


def found(path):
    """What a dotted name of the public interface means: `fc.conv2d`, `nn.Conv2d`."""
    value = fastconv
    for name in path.removeprefix("fc.").split("."):
        value = getattr(value, name)
    return value


def test_eighty_of_eighty_cells_are_seen():
    assert len(NOTIONS) == len({one.english for one in NOTIONS}) == len({one.korean for one in NOTIONS}) == 20
    cells = [cell for one in NOTIONS for cell in (one.picture, one.view, one.command, one.chapter)]
    assert len(cells) == 80 and all(cells)
    assert {one.chapter for one in NOTIONS} == {path.stem for path in (ROOT / "docs/course/en").glob("*.md")}
    assert {one.view.split("?")[0] for one in NOTIONS} == set(lecture_map.VIEWS)


@pytest.mark.parametrize("notion", NOTIONS, ids=lambda one: one.english)
def test_every_name_exists(notion):
    assert callable(found(notion.function)) and callable(found(notion.layer))
    path, name = notion.test.split("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.M)
    assert notion.picture in plots.__all__
    assert (ROOT / f"docs/gallery/{lecture_map.script_of(notion.picture)}.py").exists()
    for language in ("en", "ko"):
        assert (ROOT / f"docs/course/{language}/{notion.chapter}.md").exists()
    program, command, *rest = shlex.split(notion.command)
    assert program == "fastconv" and command in COMMANDS
    load_command(command)[1].parse(rest)


@pytest.mark.parametrize("notion", NOTIONS, ids=lambda one: one.english)
def test_the_chapter_shows_the_picture_and_the_view(notion):
    chapter = (ROOT / f"docs/course/en/{notion.chapter}.md").read_text()
    assert f"plots.{notion.picture}" in chapter
    assert notion.view.split("?")[0] in re.findall(r"""--view ["']?(\w+)""", chapter)


def addresses():
    """Every address of the page that the map, the course or a how-to shows, once."""
    shown = {one.view for one in NOTIONS}
    for path in sorted((ROOT / "docs").glob("*/en/*.md")):
        shown.update(re.findall(r"""--view ["']?([^\s"']+)""", path.read_text()))
    return sorted(shown)


@pytest.mark.parametrize("address", addresses())
def test_an_address_means_something_to_its_view(address):
    view, _, query = address.partition("?")
    static = Path(fastconv.__file__).parent / "lecture/static"
    program = "".join(path.read_text() for path in [static / f"views/{view}.js", *static.glob("*.js")])
    state = dict(pair.split("=") for pair in query.split("&") if pair)
    for name, value in state.items():
        assert re.search(rf"""["'.,{{ ]{name}["':;, )]""", program), name
        if name == "filter":
            assert value in walk.FILTERS
        if name == "image":
            kind, name = value.split(":")
            assert name in data.SAMPLES if kind == "sample" else int(name) < len(data.digits("test"))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_has_a_row_for_each_notion_in_each_table(language):
    page = lecture_map.page(language)
    for number, one in enumerate(NOTIONS, 1):
        name = one.english if language == "en" else one.korean
        assert page.count(f"| {number} | {name} |") == 2
    assert re.search("[가-힣]", page) is None if language == "en" else "| 개념 |" in page
