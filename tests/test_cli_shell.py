"""The command line in a shell: completion, Ctrl-C at any time or ignored, and readers that go away."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from processes import command, with_ctrl_c

import fastconv as fc
from fastconv import nn

# ---------------------------------------------------------------------------------------------------------------------
# Completion

BASH = """
source ./script
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _fastconv; printf '%s\\n' "${COMPREPLY[*]}"; }
"""

COMPLETED = {
    "fastconv ''": ("train evaluate predict explain summary slide maps plot lecture run adapters info completion help "
                    "version --help --version"),
    "fastconv ev": "evaluate",
    "fastconv train --optimizer ''": "sgd adam adamw",
    "fastconv train --optimizer a": "adam adamw",
    "fastconv train --optimizer = ad": "adam adamw",
    "fastconv train --optimizer =": "sgd adam adamw",
    "fastconv train --epochs 2 --sch": "--schedule",
    "fastconv train --model ''": "lenet5 resnet-small resnet18 mobilenet-v2 vgg11",
    "fastconv train --model res": "resnet-small resnet18",
    "fastconv predict --inv": "--invert",
    "fastconv predict --no": "--no-invert",
    "fastconv predict ''": "",  # names of files, which are the shell's
    "fastconv predict --model x": "",
    "fastconv explain --padding s": "same",
    "fastconv completion ''": "bash zsh fish",
    "fastconv completion z": "zsh",
    "fastconv help tr": "train",
    "fastconv nonsense --x": "",
}


def write_script(shell, path):
    path.write_bytes(subprocess.run(command("completion", shell), capture_output=True, check=True, timeout=300).stdout)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_bash_completes(tmp_path):
    write_script("bash", tmp_path / "script")
    lines = [f"try {words}" for words in COMPLETED]
    done = subprocess.run(["bash", "-u", "-c", "\n".join([BASH, *lines])], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    found = [" ".join(word for word in line.split()
                      if word not in ("--help", "--json", "--seed", "--threads", "--quiet"))
             if words == "fastconv completion ''" else line
             for words, line in zip(COMPLETED, done.stdout.splitlines(), strict=True)]  # fmt: skip
    assert dict(zip(COMPLETED, found, strict=True)) == COMPLETED
    # The shell itself calls the function, and falls back to names of files.
    done = subprocess.run(["bash", "-c", "source ./script; complete -p fastconv"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.stdout == "complete -o bashdefault -o default -F _fastconv fastconv\n"


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not here")
def test_fish_completes(tmp_path):
    write_script("fish", tmp_path / "script")
    (tmp_path / "picture.png").touch()

    def completed(words):
        done = subprocess.run(["fish", "-c", f"source ./script; complete -C {words!r}"], cwd=tmp_path,
                              capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})  # fmt: skip
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    assert completed("fastconv tr") == ["train"]
    assert completed("fastconv train --optimizer ") == ["adam", "adamw", "sgd"]
    assert completed("fastconv train --sch") == ["--schedule"]
    assert completed("fastconv completion ") == ["bash", "fish", "zsh"]
    assert completed("fastconv predict pic") == ["picture.png"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_whole_and_name_every_option(shell, tmp_path):
    write_script(shell, tmp_path / "script")
    script = (tmp_path / "script").read_text()
    for option in ("batch-size", "no-augment", "no-invert", "padding-mode", "split", "threads"):
        assert option in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True).stderr == b""


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl-C

# In place of NumPy: it takes for ever, and says when it has begun.
SLOW_IMPORT = """
import pathlib, time
pathlib.Path("begun").touch()
try:
    time.sleep(60)
except BaseException as error:
    raise ImportError("an import that hides what came") from error
"""
SCRIPT = "import sys\nfrom fastconv.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("module", [True, False], ids=["python -m fastconv", "fastconv"])
def test_ctrl_c_during_the_imports_is_one_line(tmp_path, module):
    (tmp_path / "slow" / "numpy").mkdir(parents=True)
    (tmp_path / "slow" / "numpy" / "__init__.py").write_text(SLOW_IMPORT)
    (tmp_path / "fastconv").write_text(SCRIPT)  # as pip writes it
    start = command("info") if module else [sys.executable, str(tmp_path / "fastconv"), "info"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "slow"), os.environ["PYTHONPATH"]])}
    folder = tmp_path / "cwd"
    folder.mkdir()
    process = subprocess.Popen(with_ctrl_c(start), cwd=folder, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        wait_for(folder / "begun", process)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"fastconv: interrupted\n")
        assert process.returncode == 130
    finally:
        process.kill()
        process.wait()


def test_a_library_leaves_ctrl_c_alone():
    script = "import signal, fastconv.cli; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = subprocess.run(with_ctrl_c([sys.executable, "-c", script]), capture_output=True, text=True, timeout=300)
    assert done.stdout == "True\n"


def test_where_ctrl_c_is_ignored_it_stays_so(tmp_path):
    """As nohup, or `&` in a script, starts it: the training goes on to its end."""
    start = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command("train", "--epochs", 2, "--validation", 0.1)]
    process = subprocess.Popen(start, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        seen = ""
        while "epoch 1/2" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0 and stdout.startswith("test accuracy") and "interrupted" not in stderr
    assert (tmp_path / "lenet.npz").exists()


# ---------------------------------------------------------------------------------------------------------------------
# Pipes


@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
def test_a_pipe_to_head_ends_quietly(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    fc.save(nn.models.lenet5(rng=0), tmp_path / "m.npz", {"input_shape": [1, 28, 28]})
    image.new("L", (28, 28)).save(tmp_path / "a.png")
    line = f'"{sys.executable}" -m fastconv predict --quiet --model m.npz {"a.png " * 300} | head -n 1'
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("a.png")
    line = f'"{sys.executable}" -m fastconv train --epochs 1 --data digits 2>&1 | head -n 1'
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("LeNet-5")


def test_a_warning_is_one_line(tmp_path):
    """Pillow warns of very large images."""
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    fc.save(nn.models.lenet5(rng=0), tmp_path / "m.npz", {"framing": {"size": [28, 28], "channels": 1}})
    image.new("1", (10_000, 9_000)).save(tmp_path / "large.png")
    for more, lines in (([], 1), (["--quiet"], 0)):
        done = subprocess.run(command("predict", "--model", "m.npz", "large.png", *more), cwd=tmp_path,
                              capture_output=True, text=True, timeout=300)  # fmt: skip
        assert done.returncode == 0 and done.stdout.startswith("large.png")
        assert done.stderr.count("\n") == lines and done.stderr.startswith("fastconv: Image size"[: 99 * lines])


# ---------------------------------------------------------------------------------------------------------------------
# The environment


@pytest.mark.parametrize(("name", "value", "message"), [
    ("FASTCONV_ISA", "foo", "FASTCONV_ISA='foo': there is no such set; possible are "),
    ("FASTCONV_NUM_THREADS", "0", "FASTCONV_NUM_THREADS='0' must be a whole number from 1 to 1024"),
    ("FASTCONV_POOL_MB", "-1", "FASTCONV_POOL_MB='-1' must be a whole number of MB"),
])  # fmt: skip
def test_a_wrong_variable_is_one_line_and_exit_code_2(name, value, message):
    environment = {**os.environ, name: value}
    done = subprocess.run(command("info"), capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"fastconv: {message}")
    script = [sys.executable, "-c", "import fastconv"]
    library = subprocess.run(script, capture_output=True, text=True, timeout=300, env=environment)
    assert library.returncode == 1 and f"ImportError: {message}" in library.stderr
