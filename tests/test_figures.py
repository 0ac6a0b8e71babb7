"""What README and docs say about speed is what docs/speed.json says: no figure is copied by hand,
none is of another measurement."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastconv as fc

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(fc.__file__).resolve().parents[1]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the documentation is part of a checkout, which is not here", allow_module_level=True)

CONTEXT = {"date": "2026-01-02T03:04:05+00:00", "machine": {"cpu": "Some CPU", "cpus": 4, "system": "Linux"},
           "python": "3.12.1"}
SETTING = {"threads": 1, "layout": "nchw", "dtype": "float32", "rounds": 2}


def run(*arguments):
    """Runs a program of the benchmarks, with the fastconv that is tested."""
    return subprocess.run([sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), str(ROOT)]),
                               "PYTHONDONTWRITEBYTECODE": "1"})


def row(operation, layer, seconds, inexact=()):
    peers = [value for library, value in seconds.items() if library not in ("fastconv", *inexact)]
    return {"operation": operation, "layer": layer, "seconds": seconds, "errors": {"fastconv": 3.4e-7},
            "inexact": list(inexact), "ratio": min(peers) / seconds["fastconv"] if peers else None}


def report(*rows, libraries=("fastconv", "torch"), **setting):
    versions = {library: "1.0 (avx512, gcc)" if library == "fastconv" else "2.0" for library in libraries}
    return {**CONTEXT, "versions": versions, **SETTING, **setting, "results": list(rows)}


def figures():
    """Two layers, with ratios of 4 and 1 beside PyTorch, 2 and 1 beside all, and so on."""
    forward = report(row("forward", "lenet-1", {"fastconv": 1e-3, "torch": 4e-3, "ncnn": 2e-3}),
                     row("forward", "lenet-2", {"fastconv": 2e-3, "torch": 2e-3, "ncnn": 1e-3}, ["ncnn"]),
                     libraries=("fastconv", "torch", "ncnn"))
    forward["geometric_means_by_library"] = {"forward": {"torch": 2.0, "ncnn": 1.0}}
    return {
        "forward-1": forward,
        "forward-2": report(row("forward", "lenet-1", {"fastconv": 1e-3, "torch": 9e-3}), threads=2),
        "small": report(row("small", "relu", {"fastconv": 2.5e-7, "torch": 1.25e-6})),
        "instruction-sets": {**CONTEXT, "versions": {"fastconv": "1.0 (avx512, gcc)"}, "threads": 1, "results": [
            {"operation": "instruction sets", "layer": "lenet-1", "seconds": {"avx2": 4e-3, "avx512": 1e-3}},
            {"operation": "instruction sets", "layer": "lenet-2", "seconds": {"avx2": 1e-3, "avx512": 1e-3}}]},
        "training": {**CONTEXT, "versions": {"fastconv": "1.0 (avx512, gcc)"}, "threads": 2, "results": [
            {"operation": "training", "seed": seed, "epochs": 18, "accuracy": accuracy, "seconds": seconds}
            for seed, accuracy, seconds in [(0, 0.991, 3.2), (1, 0.986, 3.9), (2, 0.99, 3.5)]]},
    }


@pytest.fixture
def checkout(tmp_path):
    """A folder with this README and these docs."""
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def block(path):
    return re.search(r"<!-- speed:begin \w+ -->\n(.*?)<!-- speed:end -->", path.read_text(), re.S).group(1)


def test_readme_and_docs_say_what_the_measurements_say():
    done = run("benchmarks.document", "--check")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run: python -m benchmarks.document"
    assert done.stdout == ""


def test_the_readme_has_one_table_of_speed_and_one_picture():
    text = (ROOT / "README.md").read_text()
    assert len(re.findall(r"^!\[", text, re.M)) == 1
    speed = text.split("\n## Speed\n")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| --- ", speed, re.M)) == 1 == len(re.findall("speed:begin", text))


def test_the_picture_shows_the_ratios_of_the_measurements():
    picture = (ROOT / "docs/speed.svg").read_text()
    forward = json.loads((ROOT / "docs/speed.json").read_text())["forward-1"]
    for row in forward["results"]:
        if row["operation"] == "forward":
            assert f">{row['layer']}<" in picture and f">{row['ratio']:.2f}×<" in picture
    for mean in forward["geometric_means_by_library"]["forward"].values():
        assert re.search(rf">{mean:.2f}×\*?<", picture)


@pytest.mark.parametrize("page, figure",
                         [("README.md", "\\*\\*\\d\\.\\d\\d\\*\\*"), ("docs/speed.md", "\\d\\.\\d\\d \\|$")])
def test_a_figure_that_is_changed_by_hand_is_found(checkout, page, figure):
    path = checkout / page
    changed = re.sub(figure, "9.99", path.read_text(), count=1, flags=re.M)
    assert changed != path.read_text()
    path.write_text(changed)
    done = run("benchmarks.document", "--check", "--folder", checkout)
    assert done.returncode == 1 and done.stdout == f"not what docs/speed.json says: {page}\n"
    assert path.read_text() == changed


def test_other_measurements_make_other_pages_and_another_picture(checkout):
    drawn = find_spec("matplotlib") is not None
    (checkout / "docs/speed.json").write_text(json.dumps(figures()))
    done = run("benchmarks.document", "--check", "--folder", checkout)
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 3
    assert run("benchmarks.document", "--folder", checkout).returncode == (0 if drawn else 2)
    assert run("benchmarks.document", "--check", "--folder", checkout).returncode == (0 if drawn else 1)

    said = block(checkout / "README.md")
    assert "Some CPU, 4 CPUs, 2026-01-02, Python 3.12.1; fastconv 1.0 (avx512, gcc), PyTorch 2.0, ncnn 2.0." in said
    assert "| convolution | PyTorch | **2.00**, least 1.00 (`lenet-2`) | **9.00**, least 9.00 (`lenet-1`) |" in said
    # What is inexact does not count.
    assert "| convolution, beside all | PyTorch, ncnn | **1.41**, least 1.00 (`lenet-2`) |" in said
    assert "| small calls | PyTorch | **5.00**, least 5.00 (`relu`) |  |" in said
    assert "gradient" not in said and "NHWC" not in said  # not measured
    assert "The largest relative L2 error of fastconv on a layer is 3.4e-07." in said
    assert "(18 epochs of the bundled digits, augmented) takes at most 4 s with 2 threads" in said
    assert "recognises 99.1%, 98.6% and 99.0% of the test digits with seeds 0, 1 and 2." in said

    said = block(checkout / "docs/speed.md")
    assert ("| `lenet-2` | 6 → 16, 14×14, 5×5 | 2.00 | 2.00 | 1.00\\* | 1.00 |" in said
            and "not counted as the best peer" in said)
    assert "| `relu` of 64 numbers | 0.250 | 1.25 |" in said
    assert "| `avx2` | 50% | 25% (`lenet-1`) |" in said
    assert re.findall("^## .*", said, re.M) == ["## Convolution", "## Small calls",
                                                "## Instruction sets", "## Training"]
    ratios = set(re.findall(r">(\d+\.\d\d)×<", (checkout / "docs/speed.svg").read_text()))
    assert not drawn or ({"1.00", "2.00"} <= ratios and max(map(float, ratios)) == 2)


def test_parts_of_different_machines_are_refused(checkout):
    found = figures()
    found["small"]["machine"] = {"cpu": "Another CPU", "cpus": 4, "system": "Linux"}
    (checkout / "docs/speed.json").write_text(json.dumps(found))
    done = run("benchmarks.document", "--folder", checkout)
    assert (done.returncode == 2 and done.stderr.startswith("benchmarks.document: ")
            and "parts of different machines" in done.stderr)


def test_measuring_replaces_a_part_and_keeps_what_this_machine_measured(tmp_path):
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(figures()))
    done = run("benchmarks.measure", "--rehearse", "--parts", "small", "--json", file)
    assert done.returncode == 0, done.stderr
    small = json.loads(file.read_text())
    assert list(small) == ["small"]  # the rest was of another machine
    assert small["small"]["versions"]["fastconv"].startswith(fc.__version__) and small["small"]["threads"] == 1
    assert {"cpu", "cpus", "system"} == set(small["small"]["machine"])
    done = run("benchmarks.measure", "--rehearse", "--parts", "instruction-sets,training", "--json", file)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert list(found) == ["small", "instruction-sets", "training"] and found["small"] == small["small"]
    assert set(found["instruction-sets"]["results"][0]["seconds"]) == set(fc.show_config("dicts")["isa"]["usable"])
    assert [one["seed"] for one in found["training"]["results"]] == [0, 1, 2]
    assert all(0 < one["accuracy"] <= 1 and one["epochs"] == 1 for one in found["training"]["results"])


def test_parts_that_there_are_not():
    done = run("benchmarks.measure", "--parts", "backward")
    assert done.returncode == 2 and "argument --parts: 'backward' is not one of forward-1, forward-2" in done.stderr
