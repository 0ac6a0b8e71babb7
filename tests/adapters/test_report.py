"""What every adapter counts, and what the command line says of them all."""

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

from fastconv.adapters import HOSTS
from fastconv.adapters.report import Report


def test_counts_by_operation_and_reason():
    report = Report()
    assert str(report) == "no calls yet"
    report.serve("conv2d")
    report.serve("conv2d")
    report.hand_on("conv2d", "complex numbers")
    report.hand_on("sobel", "integers")
    assert report.served == {"conv2d": 2}
    assert report.handed_on == {("conv2d", "complex numbers"): 1, ("sobel", "integers"): 1}
    assert str(report) == ("conv2d: 2 served; 1 handed on: complex numbers\n"
                           "sobel: 0 served; 1 handed on: integers")
    report.reset()
    assert report.served == {} and report.handed_on == {}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_the_line_imports_what_it_uses(host):
    """As it is shown, so that it can be copied."""
    statement, *_ = ast.parse(host.line).body
    assert isinstance(statement, ast.ImportFrom)
    source = Path(importlib.util.find_spec(statement.module).origin).read_text()
    assert all(name.name == "*" or re.search(rf"\b{name.name}\b", source) for name in statement.names)


def test_the_command_lists_every_host(cli):
    code, stdout, _ = cli("adapters", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(stdout)["adapters"]] == [host.name for host in HOSTS]
    code, stdout, _ = cli("adapters")
    assert code == 0 and all(f"    {line}\n" in stdout for host in HOSTS for line in host.line.splitlines())
