"""The course and the how-tos: both languages say the same, every cell runs, and every command exists."""

import re
import shlex
import time
from pathlib import Path

import pytest

from fastconv.cli.commands import COMMANDS, load_command

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHAPTERS = sorted(path.name for path in DOCS.glob("course/en/*.md"))
PAGES = [f"{folder}/{{}}/{path.name}" for folder in ("course", "howto")
         for path in sorted(DOCS.glob(f"{folder}/en/*.md"))]  # the braces: the language

HEADINGS = {"en": ["The notion", "The picture", "In code", "By hand", "On the page", "Exercises", "In PyTorch"],
            "ko": ["개념", "그림", "코드", "손으로 계산하기", "화면에서 움직여 보기", "연습 문제", "PyTorch에서는"]}
SECONDS = 5  # of processor time, for all cells of a page
MOST_LINES, WIDEST = 15, 92  # of a cell

pytestmark = pytest.mark.skipif(not PAGES, reason="the source tree is not here")


def text_of(page, language="en"):
    return (DOCS / page.format(language)).read_text()


def blocks(text, *kinds):
    """What is fenced as one of these kinds; without any, all of it with its kind."""
    found = re.findall(r"^```(\S*)[^\n]*\n((?::tags:[^\n]*\n)?)(.*?)^```$", text, re.S | re.M)
    return [code for kind, _, code in found if kind in kinds] if kinds else found


def sections(text):
    return dict(part.split("\n", 1) for part in text.split("\n## ")[1:])


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_structure_and_the_same_code(page):
    english, korean = text_of(page), text_of(page, "ko")
    assert blocks(english) == blocks(korean)
    bare = [re.sub(r"^```.*?^```$", "@", text, flags=re.S | re.M) for text in (english, korean)]

    def structure(text):
        return re.findall(r"^(#+ |@|<details>|</details>|\d\. |- |> )", text, re.M)
    assert structure(bare[0]) == structure(bare[1])
    name = Path(page).name
    assert f"[한국어](../ko/{name})" in english and f"[English](../en/{name})" in korean
    assert re.search("[가-힣]", bare[0].replace("[한국어]", "")) is None
    # Emphasis that ends in a bracket and goes on in letters is none in Markdown.
    assert re.findall(r"\*\*[^*\n]*[^\w*\s]\*\*\w", bare[1]) == []


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_goes_from_the_notion_to_pytorch(chapter, language):
    text = text_of(f"course/{{}}/{chapter}", language)
    parts = sections(text)
    assert re.search(rf"^# {int(chapter[:2])}\. ", text, re.M)
    assert list(parts) == HEADINGS[language]
    _, picture, code, by_hand, page, exercises, pytorch = parts.values()
    assert "Display" in "".join(blocks(picture, "{code-cell}"))
    assert blocks(code, "{code-cell}")
    assert "assert" in "".join(blocks(by_hand, "{code-cell}"))
    assert "$ fastconv lecture" in "".join(blocks(page, "console"))
    assert len(re.findall("<details>", exercises)) == len(re.findall(r"^\d\. ", exercises, re.M)) == 2
    assert "assert" in "".join(blocks(exercises, "{code-cell}"))
    assert "import torch\n" in "".join(blocks(pytorch, "python"))


def test_there_are_twelve_chapters_in_either_language():
    assert len(CHAPTERS) == 12
    for folder in ("course", "howto"):
        english, korean = ({path.name for path in DOCS.glob(f"{folder}/{language}/*.md")} for language in HEADINGS)
        assert english == korean


@pytest.mark.parametrize("page", PAGES)
def test_a_cell_can_be_read_at_one_go(page):
    cells = blocks(text_of(page), "{code-cell}", "python")
    assert cells
    for cell in cells:
        assert cell.count("\n") <= MOST_LINES, cell
        assert max(map(len, cell.splitlines())) <= WIDEST, cell


@pytest.mark.parametrize("page", PAGES)
def test_every_cell_runs_and_its_numbers_are_right(page, tmp_path, monkeypatch):
    """The same cells as Sphinx runs; behind them what PyTorch does, where it is installed."""
    matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    if "PIL" in text_of(page):
        pytest.importorskip("PIL", reason="Pillow is not installed")
    monkeypatch.chdir(tmp_path)
    cells, theirs = (blocks(text_of(page), kind) for kind in ("{code-cell}", "python"))
    assert cells or theirs
    namespace = {"__name__": "course"}
    begun = time.process_time()
    try:
        for number, cell in enumerate(cells):
            exec(compile(cell, f"{page}, cell {number}", "exec"), namespace)
    finally:
        pyplot.close("all")
    assert time.process_time() - begun < SECONDS
    if any("torch" in block for block in theirs):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    try:
        for block in theirs:
            exec(compile(block, f"{page}, PyTorch", "exec"), namespace)
    finally:
        pyplot.close("all")


def commands():
    """Every command that a page shows, once."""
    lines = {line for page in PAGES for block in blocks(text_of(page), "console")
             for line in re.findall(r"^\$ (fastconv .*)", block, re.M)}
    return sorted(lines)


@pytest.mark.parametrize("line", commands())
def test_a_command_can_be_typed(line):
    _, name, *rest = shlex.split(line)
    assert name in COMMANDS
    load_command(name)[1].parse(rest)
