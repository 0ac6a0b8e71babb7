"""Everything that the documentation shows runs: the README's blocks, the examples, and the docstrings."""

import doctest
import importlib
import inspect
import pkgutil
import re
from importlib import metadata
from pathlib import Path

import pytest
from processes import run_python

import fastconv
from fastconv.adapters import HOSTS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

checkout = pytest.mark.skipif(not README.exists(), reason="the source tree is not here")


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)


def readme_blocks():
    return blocks(README.read_text()) if README.exists() else []


def blocks_of_docs():
    """Each behind the page and the heading that it stands under."""
    sections = [(path.stem, section) for path in sorted((ROOT / "docs").glob("*.md"))
                for section in path.read_text().split("\n## ")[1:]]  # fmt: skip
    return [(f"{page}: {section.splitlines()[0]}", block) for page, section in sections for block in blocks(section)]


@checkout
def test_the_readme_has_an_example_of_ten_lines_for_each_kind_of_user():
    assert len(readme_blocks()) == 4
    assert all(len(block.splitlines()) <= 10 for block in readme_blocks())


@pytest.mark.parametrize("block", readme_blocks(), ids=["arrays", "swap", "lecture", "pictures"][:len(readme_blocks())])
def test_a_readme_example_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word, package in (("scipy", "scipy"), ("plots", "matplotlib")):
        if word in block:
            pytest.importorskip(package, reason=f"{package} is not installed")
    run_python("-c", block)


@pytest.mark.parametrize("block", [block for _, block in blocks_of_docs()],
                         ids=[heading for heading, _ in blocks_of_docs()])
def test_an_example_of_the_docs_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(block.splitlines()) <= 32, "short enough to be read at one go"
    run_python("-c", block)


@checkout
def test_the_docs_have_an_example_for_what_is_done_with_models():
    headings = [heading for heading, _ in blocks_of_docs()]
    for word in ("Save and load", "checkpoints", "A layer of one's own", "lists and dicts"):
        assert any(word in heading for heading in headings), word
    assert README.read_text().count("[docs/models.md]") == 3  # in the table, in the list of pages, and where it leads


@checkout
def test_what_an_example_of_the_readme_needs_beside_fastconv_is_said():
    for block in readme_blocks():
        for package in set(re.findall(r"\b(scipy|torch|matplotlib|PIL)\b", block)):
            assert f"pip install {package}" in README.read_text()


@checkout
@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_a_page_names_only_what_exists(page):
    missing = []
    for path in set(re.findall(r"`((?:fc|nn|optim|data)(?:\.\w+)+)", (ROOT / page).read_text())):
        value = fastconv
        for name in path.removeprefix("fc.").split("."):
            try:
                value = getattr(value, name)
            except AttributeError:
                missing.append(path)
                break
    assert not missing


def pages():
    return ["README.md", "CONTRIBUTING.md",
            *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def links(page):
    """The targets of a page's links and pictures, in the text and in the list of references."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)", text, re.M)


def repository():
    return re.search(r'^Homepage = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M).group(1)


def in_checkout(page, target):
    """The file of the checkout that a link means; None for another site's page."""
    raw = repository().replace("github.com", "raw.githubusercontent.com")
    for address in (f"{repository()}/blob/main/", f"{raw}/main/"):
        if target.startswith(address):
            return ROOT / target.removeprefix(address)
    return None if "://" in target or target.startswith("#") else (ROOT / page).parent / target.split("#")[0]


@checkout
@pytest.mark.parametrize("page", pages())
def test_links_and_files_exist(page):
    assert links(page) or page == "docs/kernels.md"
    for target in links(page):
        path = in_checkout(page, target)
        assert path is None or path.exists(), target
    for path in re.findall(r"`((?:src_c|fastconv|tests|docs|examples|benchmarks)/[\w/.*]*)`",
                           (ROOT / page).read_text()):
        assert (ROOT / path).exists(), path


@checkout
def test_the_walk_of_a_call_is_nine_files_each_led_to_by_one_before():
    text = (ROOT / "docs/design.md").read_text()
    steps = re.findall(r"^\d\. \*\*`(\S+)`\*\*", text[text.index("## The walk"):], re.M)
    assert 5 <= len(steps) <= 9 and len(set(steps)) == len(steps)
    for i, step in enumerate(steps[1:], 1):
        room, name = Path(step).with_suffix("").parts[-2:]
        uses = (rf"from fastconv\.(_core\.)?{room}(\.{name} c?import| import \(?[^)]*\b{name}\b)"
                rf"|cimport .*\b{name}_tile\b")
        assert any(re.search(uses, (ROOT / before).read_text()) for before in steps[:i]), step


@checkout
def test_links_of_the_readme_work_on_a_package_index():
    """A package index shows the README alone: relative links lead nowhere there,
    and a picture's address must be that of the file."""
    found = links("README.md")
    assert [target for target in found if not target.startswith(("https://", "#"))] == []
    pictures = re.findall(r"!\[[^\]]*\]\[(\w+)\]|!\[[^\]]*\]\(([^)]+)\)", README.read_text())
    references = dict(re.findall(r"^\[([^\]]+)\]: (\S+)", README.read_text(), re.M))
    assert pictures
    for name, address in pictures:
        assert "/blob/" not in (address or references[name])
    # What stands in brackets and is no link would be shown as brackets.
    bare = re.findall(r"(?<!\])\[([^\]\n]+)\](?![(\[:])",
                      re.sub(r"```.*?```|`[^`\n]*`|^    .*?$", "", README.read_text(), flags=re.S | re.M))
    assert [name for name in bare if name not in references] == []


@checkout
@pytest.mark.parametrize("page", [page for page in pages() if page != "CONTRIBUTING.md"])
def test_figures_of_speed_stand_in_the_blocks_that_are_written_from_the_measurements(page):
    text = re.sub(r"<!-- (speed|scale):begin (\w+) -->.*?<!-- \1:end -->", "", (ROOT / page).read_text(), flags=re.S)
    assert re.findall(r"\d[\d.]* ?(?:ms|µs|us|ns|milliseconds|microseconds|GFLOP/s|%)(?!\w)", text) == []


@checkout
def test_the_lecture_in_functions_learns():
    printed = run_python(str(ROOT / "examples/train_digits.py"), "--epochs", "2")
    assert float(re.search(r"epoch 2: .* test accuracy ([\d.]+)", printed).group(1)) > 0.9


@checkout
def test_convolution_misses_what_shuffling_destroys():
    printed = run_python(str(ROOT / "examples/shuffled_pixels.py"), "--epochs", "3")
    both = [[float(figure) for figure in re.findall(r"([\d.]+) %", line)] for line in printed.splitlines()]
    assert both[0][0] - both[0][1] > 5 > abs(both[1][0] - both[1][1])


@checkout
def test_fastconv_takes_the_place_of_scipy_and_im2col():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    assert run_python(str(ROOT / "examples/swap_scipy.py")).count("fastconv") == 2


def public_modules():
    found = [fastconv.__name__]
    found += [info.name for info in pkgutil.walk_packages(fastconv.__path__, "fastconv.")
              if "._core" not in info.name and not info.name.endswith("__main__")]
    return found


def missing_host(name):
    """The package that a module of the adapters needs, where it is not installed."""
    for host in HOSTS:
        modules = re.findall(r"fastconv\.adapters\.\w+", host.line)
        if host.package and any(f"{name}.".startswith(f"{module}.") for module in modules):
            try:
                metadata.version(host.package)
            except metadata.PackageNotFoundError:
                return host.package
    return None


@pytest.mark.parametrize("name", public_modules())
def test_docstrings_run(name, monkeypatch, tmp_path):
    if missing := missing_host(name):
        pytest.skip(f"{missing} is not installed")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if not name.startswith("fastconv.adapters.") or "pip install" not in str(error):
            raise
        pytest.skip(str(error))  # the tests of the adapters run them
    monkeypatch.chdir(tmp_path)
    threads = fastconv.get_num_threads()
    try:
        result = doctest.testmod(module)
    finally:
        fastconv.set_num_threads(threads)
    assert result.failed == 0


def test_every_public_operation_has_a_full_docstring():
    for name in fastconv.__all__:
        value = getattr(fastconv, name)
        if inspect.isfunction(value) and value.__module__.startswith("fastconv.functional"):
            for section in ("Parameters", "Returns", "Examples"):
                assert f"{section}\n    ---" in (value.__doc__ or ""), f"{name} has no {section}"
