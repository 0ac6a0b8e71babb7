"""What a user sees of the package: completion shows the public names and nothing else, whenever they are imported."""

import importlib
import subprocess
import sys

import pytest

import fastconv as fc

NAMESPACES = ("fastconv", "fastconv.data", "fastconv.functional", "fastconv.lecture", "fastconv.nn",
              "fastconv.nn.init", "fastconv.nn.models", "fastconv.optim", "fastconv.plots", "fastconv.training",
              "fastconv.walk")


@pytest.mark.parametrize("name", NAMESPACES)
def test_completion_shows_the_public_names(name):
    module = importlib.import_module(name)
    assert [shown for shown in dir(module) if not shown.startswith("_")] == sorted(module.__all__)
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_every_operation_is_in_the_packages_namespace():
    for name in fc.functional.__all__:
        assert getattr(fc, name) is getattr(fc.functional, name)


def test_an_unknown_name_is_an_attribute_error():
    for name in ("conv4d", "_private", "import_module_", "checks"):
        with pytest.raises(AttributeError, match=f"'fastconv' has no attribute '{name}'"):
            getattr(fc, name)


@pytest.mark.parametrize("name",
                         ["Trainer", "conv2d", "explain", "functional", "load", "max_pool2d", "nn", "optim", "relu"])
def test_each_name_comes_by_itself(name):
    """Nothing else of the package need have been used before."""
    done = subprocess.run([sys.executable, "-c", f"import fastconv; fastconv.{name}\nfrom fastconv import {name}"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
