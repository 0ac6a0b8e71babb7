"""What every adapter counts, and what the command line says of them all."""

import importlib.util
import json
import re

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
def test_the_line_names_a_module_that_there_is(host):
    for name in re.findall(r"fastconv\.adapters\.\w+", host.line):
        assert importlib.util.find_spec(name) is not None


def test_the_command_lists_every_host(cli):
    code, stdout, _ = cli("adapters", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(stdout)["adapters"]] == [host.name for host in HOSTS]
    code, stdout, _ = cli("adapters")
    assert code == 0 and all(host.line in stdout for host in HOSTS)
