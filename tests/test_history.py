"""What each epoch gave: as curves, as a table in a file, and in the terminal."""

import json

import numpy as np
import pytest
from small_training import fit, trainer

import fastconv as fc
from fastconv.cli import curves
from fastconv.plots import HistoryDisplay

HISTORY = fc.History(epoch=[1, 2, 3], train_loss=[2.0, 1 / 3, 0.1], train_accuracy=[0.1, None, 0.9],
                     validation_loss=[None, None, 0.25], validation_accuracy=[None, None, 1.0], lr=[0.1, 0.1, 1e-7],
                     seconds=[0.5, 0.25, 1e3])


def test_a_table_holds_the_very_numbers(tmp_path):
    for history in (HISTORY, fc.History(), fit(trainer(schedule="batches"))):
        history.save(tmp_path / "run.csv")
        assert fc.History.load(tmp_path / "run.csv") == history
    HISTORY.save(str(tmp_path / "run.csv"))
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0] == "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,seconds"
    assert lines[2] == "2,0.3333333333333333,,,,0.1,0.25"
    assert [path.name for path in tmp_path.iterdir()] == ["run.csv"]


@pytest.mark.parametrize("text, message", [
    ("", "line 1 must be epoch,train_loss"),
    ("epoch,loss\n", "got epoch,loss"),
    ("{header}\n1,2\n", "line 2 must have 7 values, got 2"),
    ("{header}\n1,0.5,,,,0.1,1\nx,0.5,,,,0.1,1\n", "line 3: epoch must be a whole number, got 'x'"),
    ("{header}\n1,nan,,,,0.1,1\n", "line 2: train_loss must be a finite number, got 'nan'"),
    ("{header}\n1,,,,,0.1,1\n", "line 2: train_loss must be a finite number, got ''"),
    ("{header}\n2,0.5,,,,0.1,1\n2,0.5,,,,0.1,1\n", "line 3: epoch must be above 2 and at most 2147483647, got 2"),
    ("{header}\n0,0.5,,,,0.1,1\n", "line 2: epoch must be above 0"),
    ("{header}\n" + "9" * 400 + ",0.5,,,,0.1,1\n", "line 2: epoch must be above 0"),
    ("{header}\n" + "9" * 5000 + ",0.5,,,,0.1,1\n", "line 2: epoch must be a whole number, got '999"),
    (b"\xff\xfe", "no table of a history"),
])
def test_a_file_that_is_no_such_table(tmp_path, text, message):
    path = tmp_path / "run.csv"
    HISTORY.save(path)
    header = path.read_text().splitlines()[0]
    path.write_bytes(text if isinstance(text, bytes) else text.replace("{header}", header).encode())
    with pytest.raises(ValueError, match="run.csv: ") as error:
        fc.History.load(path)
    assert message in str(error.value)


@pytest.mark.parametrize("changed, message", [
    (dict(lr=[0.1, 0.1]), "an entry for each of its 3 epochs in lr, got 2"),
    (dict(validation_loss=[]), "an entry for each of its 3 epochs in validation_loss, got 0"),
    (dict(train_loss=[1.0, np.inf, 1.0]), "entry 1 of the history: train_loss must be a finite number, got 'inf'"),
    (dict(seconds=[1.0, 2.0, None]), "entry 2 of the history: seconds must be a finite number, got ''"),
    (dict(epoch=[1, 3, 2]), "entry 2 of the history: epoch must be above 3"),
])
def test_a_history_that_no_table_can_hold(tmp_path, changed, message):
    """It is refused, not cut to its shortest list, nor written for nobody to read."""
    with pytest.raises(ValueError, match=message):
        fc.History(**{**HISTORY.to_dict(), **changed}).save(tmp_path / "run.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("history, message", [
    ({"epoch": [1]}, "history must have a value of train_loss, validation_loss"),
    ({"epoch": [1], "lr": [None]}, "history must have a value of"),
    ({"epoch": [1, 2], "lr": [0.1]}, "an entry for each of its 2 epochs in lr, got 1"),
    ({"epoch": 3}, "history must have a list in epoch, got 3"), ([1], "history must be a fastconv.History"),
])
def test_what_has_no_curves(history, message):
    with pytest.raises((TypeError, ValueError), match=message):
        HistoryDisplay.from_history(history)


def test_a_path_that_is_no_table(tmp_path):
    for call in (HISTORY.save, fc.History.load):
        with pytest.raises(ValueError, match=r"path must end in \.csv, got run\.txt"):
            call("run.txt")
    with pytest.raises(FileNotFoundError):
        fc.History.load(tmp_path / "nothing.csv")
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        HISTORY.save(tmp_path / "nowhere" / "run.csv")


@pytest.mark.parametrize("schedule", [None, "epochs", "batches"])
def test_the_rate_of_an_epoch_is_that_of_its_last_step(schedule):
    used = []
    one = trainer(schedule=schedule)
    step = one.optimizer.step
    one.optimizer.step = lambda: (used.append(one.optimizer.lr), step())[1]
    assert fit(one).lr == used[4::5], "five batches an epoch"


def test_curves_are_those_of_the_history():
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("Agg")
    from matplotlib.figure import Figure

    one = HISTORY.plot(ax=Figure().subplots())
    assert one.lines_["train_loss"].get_xydata().tolist() == [[1, 2.0], [2, 1 / 3], [3, 0.1]]
    assert one.lines_["train_accuracy"].get_xydata().tolist() == [[1, 0.1], [3, 0.9]]
    assert one.lines_["validation_loss"].get_xydata().tolist() == [[3, 0.25]]
    assert set(one.axes_) == set(one.panels) == {"loss", "accuracy", "learning rate"}
    least = HistoryDisplay({"epoch": [1], "train_loss": [1.0], "lr": [None]})
    assert least.panels == {"loss": {"train_loss": [(1, 1)]}}


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_curves_in_a_terminal(columns):
    history = fc.History(epoch=[1, 2, 3, 4], train_loss=[4.0, 2.0, 1.0, 0.5], train_accuracy=[None] * 4,
                         validation_loss=[4.5, None, 1.5, 3.0], validation_accuracy=[None] * 4, lr=[0.1] * 4,
                         seconds=[1.0] * 4)
    lines = curves.charts(history, columns, colour=False)
    assert lines[0] == "loss   * training 4 -> 0.5   o validation 4.5 -> 3"
    assert max(map(len, lines[1:10])) <= columns and lines[9].split() == ["epoch", "1", "4"]
    rows = [line[11:] for line in lines[1:9]]
    assert lines[1].startswith("      4.5 |o") and lines[8].startswith("      0.5 |") and lines[8].endswith("*")
    # Both curves from the first epoch to the last, without a gap in height, the training's on top.
    for mark, ends in (("*", (4.0, 0.5)), ("o", (4.5, 3.0))):
        places = [[row for row, text in enumerate(rows) if text.ljust(columns)[column] in f"*{mark}"]
                  for column in range(columns - 11)]
        assert all(places)
        assert [round((4.5 - end) / 4 * 7) in at for end, at in zip(ends, (places[0], places[-1]))] == [True, True]
    assert lines[11] == "learning rate   * 0.1 -> 0.1" and lines[12].startswith("      0.1 |*")
    coloured = curves.charts(history, columns, colour=True)
    assert "\x1b[34m*\x1b[0m" in "".join(coloured) and "\x1b[33mo\x1b[0m" in "".join(coloured)


def test_numbers_of_any_size_are_drawn():
    lines = curves.charts(fc.History(epoch=[1, 2], train_loss=[1e308, -1e308]), 40, False)
    assert [line.rstrip()[-1] for line in (lines[1], lines[8])] == ["*", "*"] and "-1e+308 |" in lines[8]


def test_one_epoch_is_a_curve_too():
    one = fc.History([1], [0.5], [0.9], [None], [None], [0.1], [1.0])
    lines = curves.charts(one, 40, colour=False)
    assert lines[0] == "loss   * training 0.5 -> 0.5" and lines[1] == "      0.5 |" + "*" * 29


def test_plot_in_the_terminal_and_as_a_picture(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    HISTORY.save("run.csv")
    code, stdout, stderr = cli("plot", "run.csv", "--width", 60)
    assert (code, stderr) == (0, "") and stdout.splitlines() == curves.charts(HISTORY, 60, colour=False)
    document = json.loads(cli("plot", "run.csv", "--json")[1])
    assert document == {"history": HISTORY.to_dict(), "out": None}
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    for name, magic in (("curves.png", b"\x89PNG"), ("curves.svg", b"<?xml"), ("curves.pdf", b"%PDF")):
        code, stdout, stderr = cli("plot", "run.csv", "--out", name)
        assert (code, stdout, stderr) == (0, "", f"drawn {name}\n")
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_train_leaves_table_and_picture(cli, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("d.npz", x_train=rng.random((40, 12, 12), np.float32), y_train=np.arange(40) % 2,
             x_test=rng.random((10, 12, 12), np.float32), y_test=np.arange(10) % 2)
    code, stdout, stderr = cli("train", "--data", "d.npz", "--epochs", 2, "--history", "run.csv", "--plot", "c.png",
                               "--json", "--quiet")
    assert code == 0, stderr
    assert fc.History.load("run.csv").to_dict() == json.loads(stdout)["history"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments, message", [
    (("plot",), "HISTORY is missing"),
    (("plot", "nothing.csv"), "HISTORY nothing.csv does not exist: fastconv train --history FILE writes one"),
    (("plot", "run.csv", "--out", "c.gif"), "--out: must end in .png, .svg or .pdf, got 'c.gif'"),
    (("plot", "run.csv", "--out", "nowhere/c.png"), "--out nowhere/c.png: there is no directory nowhere"),
    (("plot", "m.npz"), "HISTORY must end in .csv, got m.npz"),
    (("train", "--history", "run.txt"), "--history: must end in .csv, got 'run.txt'"),
    (("train", "--plot", "nowhere/c.png"), "--plot nowhere/c.png: there is no directory nowhere"),
])
def test_wrong_arguments(cli, tmp_path, monkeypatch, arguments, message):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    monkeypatch.chdir(tmp_path)
    HISTORY.save("run.csv")
    (tmp_path / "m.npz").touch()
    code, stdout, stderr = cli(*arguments)
    assert (code, stdout) == (2, "") and message in stderr and stderr.count("\n") == 1


def test_a_table_without_epochs_has_no_curves(cli, tmp_path):
    fc.History().save(tmp_path / "run.csv")
    code, stdout, stderr = cli("plot", tmp_path / "run.csv")
    assert (code, stdout) == (1, "") and "there is no epoch in it" in stderr


def test_a_picture_needs_matplotlib(cli, tmp_path, monkeypatch):
    HISTORY.save(tmp_path / "run.csv")
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    code, stdout, stderr = cli("plot", tmp_path / "run.csv", "--out", "c.png")
    assert code == 2 and "needs Matplotlib (pip install 'fastconv[plot]')" in stderr
