"""What ships is typed: a stub beside each compiled module that says the same as the module, and a user's script that mypy takes."""

import ast
import importlib
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastconv
from fastconv import _core

CORE = Path(_core.__file__).parent
COMPILED = sorted(path.name.split(".")[0] for path in CORE.glob("*.so"))

SCRIPT = textwrap.dedent('''
    import numpy as np
    from numpy.typing import NDArray

    import fastconv as fc
    from fastconv import data, nn, optim


    def edges(image: NDArray[np.float32]) -> NDArray[np.float32]:
        weight = np.array([[[[-1.0, 1.0]]]], dtype=np.float32)
        return fc.conv2d(image, weight, padding="same", padding_mode="replicate", activation="relu")


    def shrink(x: NDArray[np.float32]) -> NDArray[np.float32]:
        fc.set_num_threads(2)
        with fc.num_threads(1):
            return fc.max_pool2d(x, 2)


    def gradients(x: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32] | None:
        y = fc.conv2d(x, weight, stride=(2, 1), padding=((1, 0), (0, 1)))
        grad_x, grad_weight, grad_bias = fc.conv2d_backward(np.ones_like(y), x, weight, stride=(2, 1), padding=((1, 0), (0, 1)))
        return grad_weight


    def train() -> float:
        model = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1176, 10))
        trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.CrossEntropyLoss())
        history = trainer.fit(data.digits(), epochs=1, batch_size=64, validation=data.digits("test"))
        return history.train_loss[-1] + trainer.evaluate(data.digits("test"))["accuracy"]
''')

MISTAKE = SCRIPT + 'fc.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), stride="two")\n'


def mypy(script, folder):
    pytest.importorskip("mypy", reason="mypy is not installed")
    path = folder / "script.py"
    path.write_text(script)
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), str(path)],
                          capture_output=True, text=True, cwd=folder)


def test_the_package_says_that_it_is_typed():
    assert (Path(fastconv.__file__).parent / "py.typed").exists()


def test_mypy_takes_a_users_script_and_finds_a_mistake(tmp_path):
    done = mypy(SCRIPT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = mypy(MISTAKE, tmp_path)
    assert done.returncode == 1 and 'Argument "stride"' in done.stdout and "Found 1 error" in done.stdout, done.stdout


@pytest.mark.parametrize("name", COMPILED)
def test_a_stub_says_what_the_module_has(name):
    module = importlib.import_module(f"fastconv._core.{name}")
    path = CORE / f"{name}.pyi"
    assert path.exists(), "a compiled module needs its stub beside it"
    stub = ast.parse(path.read_text())
    declared = {node.name: [argument.arg for argument in node.args.args] for node in stub.body if isinstance(node, ast.FunctionDef)}
    public = {key: value for key, value in vars(module).items()
              if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__ and not inspect.isclass(value)}
    assert declared == {key: list(inspect.signature(value).parameters) for key, value in public.items()}
