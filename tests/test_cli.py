"""The command line: training, measuring, exit codes of failures, Ctrl-C, and what lands on stdout and stderr."""

import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
from processes import command, with_ctrl_c

import fastconv as fc
from fastconv import data, nn

LINE = re.compile(r"test accuracy (0\.\d{4}|1\.0000) \(1000 images\)\n")
EXPLAIN = ["explain", "--input", "3x224x224", "--weight", "64x3x7x7", "--stride", "2", "--padding", "3"]


def run(*arguments, **settings):
    """The command in a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, **settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with lenet.npz, trained for two epochs, and what that printed."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, run("train", "--epochs", "2", "--seed", "3", cwd=folder)


@pytest.fixture
def in_trained(trained, monkeypatch):
    monkeypatch.chdir(trained[0])


@pytest.fixture(scope="module")
def digit_folder(tmp_path_factory):
    """Image files of test digits, a folder for each of the classes "1" and "7"."""
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    root = tmp_path_factory.mktemp("digits")
    digits = data.digits("test")
    for label in (1, 7):
        (root / str(label)).mkdir()
        for number, pixels in enumerate(digits.images[digits.labels == label][:20]):
            image.fromarray(np.uint8(pixels[0] * 255)).save(root / str(label) / f"{number}.png")
    return root


# ---------------------------------------------------------------------------------------------------------------------
# train and evaluate


def test_train_ends_with_the_accuracy_and_saves_the_model(trained):
    folder, (code, stdout, stderr) = trained
    assert code == 0 and LINE.fullmatch(stdout)
    assert float(LINE.match(stdout)[1]) > 0.9
    assert [entry.name for entry in folder.iterdir()] == ["lenet.npz"]
    assert re.search(r"^epoch 1/2 .*\nepoch 2/2 .*\nsaved lenet\.npz after ", stderr, re.M)


def test_evaluate_repeats_the_accuracy_of_train(trained, in_trained, cli):
    assert cli("evaluate", "lenet.npz") == (0, trained[1][1], "")


def test_evaluate_as_json(in_trained, cli):
    code, stdout, _ = cli("evaluate", "lenet.npz", "--split", "all", "--json")
    document = json.loads(stdout)
    confusion = np.array(document["confusion"])
    assert code == 0 and document["images"] == 5000 and confusion.sum() == 5000
    assert document["accuracy"] == np.trace(confusion) / 5000
    assert np.array_equal(confusion.sum(axis=1), np.full(10, 500))
    labels, model = data.load("digits", "all"), fc.load("lenet.npz")
    expected = nn.CrossEntropyLoss()(np.log(model.predict_proba(labels.images)), labels.labels)
    assert document["loss"] == pytest.approx(float(expected), rel=1e-4)


def test_the_same_weights_for_any_number_of_threads_and_from_python(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    for threads in (1, 3):
        assert cli("train", "--epochs", 1, "--seed", 5, "--threads", threads, "--output", f"{threads}.npz")[0] == 0
    model = ten_lines(epochs=1, seed=5)
    for name, weights in model.state_dict().items():
        np.testing.assert_array_equal(weights, fc.load_weights("1.npz")[name])
        np.testing.assert_array_equal(weights, fc.load_weights("3.npz")[name])


def ten_lines(epochs, seed):
    """What `fastconv train` does, as a program."""
    from fastconv import data, nn, optim

    train = data.digits("train")
    model = nn.models.lenet5(rng=seed)
    optimizer = optim.AdamW(model.parameters(), lr=0.008, weight_decay=0.01)
    schedule = optim.OneCycleLR(optimizer, max_lr=0.008, epochs=epochs, steps_per_epoch=63, pct_start=0.2, div_factor=5)
    trainer = fc.Trainer(model, optimizer, nn.CrossEntropyLoss(label_smoothing=0.1), schedule)
    trainer.fit(train, epochs, batch_size=64, augment=data.RandomAffine(), seed=seed, progress=False)
    return model


def test_train_as_json_and_quiet(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = cli("train", "--epochs", 2, "--json", "--quiet", "--validation", 0.1, "--optimizer", "adam",
                               "--schedule", "cosine", "--no-augment", "--output", "m.npz")  # fmt: skip
    document = json.loads(stdout)
    assert (code, stderr) == (0, "")
    assert document["model"] == "m.npz" and document["test"]["images"] == 1000 and document["test"]["accuracy"] > 0.9
    assert document["history"]["epoch"] == [1, 2]
    assert all(accuracy > 0.8 for accuracy in document["history"]["validation_accuracy"])
    assert document["history"]["lr"] == pytest.approx([0.003, 0.0015])


def test_early_stopping_keeps_the_best_weights(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    digits = data.digits("train")
    np.savez("some.npz", images=digits.images[:500], labels=digits.labels[:500])
    # At such a rate the loss jumps: some epoch is worse than the one before.
    code, stdout, _ = cli("train", "--data", "some.npz", "--epochs", 60, "--early-stopping", 1, "--lr", 0.3,
                          "--momentum", 0, "--schedule", "constant", "--no-augment", "--json")  # fmt: skip
    losses = json.loads(stdout)["history"]["validation_loss"]
    assert code == 0 and len(losses) < 60 and losses[-1] > min(losses)
    held_out = data.load("some.npz", "train").split(0.9, seed=0)[1]
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)(fc.load("lenet.npz")(held_out.images), held_out.labels)
    assert float(loss) == pytest.approx(min(losses), rel=1e-4)


def test_a_training_that_diverges_fails_and_saves_nothing(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    with np.errstate(all="ignore"):
        code, stdout, stderr = cli("train", "--epochs", 1, "--lr", "1e20", "--quiet")
    assert (code, stdout) == (1, "") and "diverged" in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "lenet.npz").exists()


def test_train_on_a_folder_of_images(digit_folder, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = cli("train", "--data", digit_folder, "--size", 20, "--channels", 1, "--epochs", 12,
                          "--batch-size", 8, "--lr", 0.02, "--no-augment")  # fmt: skip
    assert code == 0 and re.fullmatch(r"test accuracy \S+ \(8 images\)\n", stdout)
    image = digit_folder / "7" / "3.png"
    code, stdout, _ = cli("predict", image, "--json")
    assert code == 0 and json.loads(stdout)["predictions"][0]["class"] == "7"
    assert cli("evaluate", "lenet.npz", "--data", digit_folder, "--split", "all")[0] == 0


def test_save_as_safetensors(tmp_path, monkeypatch, cli):
    pytest.importorskip("safetensors", reason=".safetensors files need safetensors")
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = cli("train", "--epochs", 1, "--output", "m.safetensors")
    assert code == 0
    assert cli("evaluate", "m.safetensors") == (0, stdout, "")


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl-C


def test_ctrl_c_leaves_a_checkpoint_that_resumes_to_the_same_bits(tmp_path):
    """Within the second epoch, so that the rest of an epoch is resumed too."""
    assert run("train", "--epochs", 3, "--output", "whole.npz", cwd=tmp_path)[0] == 0
    process = subprocess.Popen(with_ctrl_c(command("train", "--epochs", 3, "--output", "broken.npz")), cwd=tmp_path,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        seen = ""
        while "epoch 1/3" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    last = stderr.splitlines()[-1]
    assert process.returncode == 130 and stdout == ""
    assert last == ("fastconv: interrupted; checkpoint written to broken.checkpoint.npz, go on with: "
                    "fastconv train --epochs 3 --output broken.npz --resume")  # fmt: skip
    assert not (tmp_path / "broken.npz").exists()

    code, stdout, _ = run("train", "--epochs", 3, "--output", "broken.npz", "--resume", cwd=tmp_path)
    assert code == 0 and LINE.fullmatch(stdout)
    assert not (tmp_path / "broken.checkpoint.npz").exists()
    whole, resumed = fc.load_weights(tmp_path / "whole.npz"), fc.load_weights(tmp_path / "broken.npz")
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_a_named_checkpoint_is_kept(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = cli("train", "--epochs", 1, "--checkpoint", "state.npz")
    assert code == 0 and (tmp_path / "state.npz").is_file()
    assert cli("train", "--epochs", 1, "--checkpoint", "state.npz", "--resume")[:2] == (0, stdout)
    code, _, stderr = cli("train", "--epochs", 1, "--checkpoint", "state.npz", "--resume", "--seed", 1, "--quiet")
    assert code == 1 and "seed" in stderr and stderr.count("\n") == 1
    _, _, stderr = cli("train", "--epochs", 1, "--checkpoint", "state.npz")
    assert "state.npz of an earlier training will be replaced" in stderr
    (tmp_path / "bad.csv").write_text("1,2\n")
    code, _, stderr = cli("train", "--epochs", 1, "--checkpoint", "state.npz", "--data", "bad.csv")
    assert code == 1 and stderr.startswith("fastconv: bad.csv: not a data set") and stderr.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------------------
# Failures while running


def broken_files(folder):
    """Name of a file -> what the message must say."""
    (folder / "text.npz").write_text("not an archive")
    (folder / "empty.npz").write_bytes(b"")
    np.savez(folder / "weights.npz", weight=np.zeros(3))
    fc.save(nn.models.lenet5(), folder / "whole.npz")
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:5000])
    (folder / "model.txt").write_text("")
    for name, value in (("input_shape", "28x28"), ("classes", 10), ("background", "x"), ("data", 5),
                        ("framing", {"fit": "bend"}), ("framing2", {"zoom": 2})):  # fmt: skip
        fc.save(nn.models.lenet5(), folder / f"{name}.npz", {name.rstrip("2"): value})
    fc.save(nn.models.lenet5(), folder / "colour.npz", {"input_shape": [3, 28, 28]})
    fc.save(nn.models.lenet5(classes=4), folder / "four.npz")
    return {
        "text.npz": "text.npz",
        "empty.npz": "empty.npz",
        "weights.npz": "weights only",
        "cut.npz": "cut.npz",
        "model.txt": "must end in .npz or .safetensors",
        "input_shape.npz": "input_shape is '28x28'",
        "classes.npz": "classes is 10",
        "background.npz": "background is 'x'",
        "colour.npz": "takes images of 3 x 28 x 28, those of digits are 1 x 28 x 28",
        "four.npz": "knows 4 classes, the data have 10",
        "data.npz": "data is 5, expected a name or a path",
        "framing.npz": "framing is {'fit': 'bend'}: fit must be one of 'stretch', 'pad', None, got 'bend'",
        "framing2.npz": "framing is {'zoom': 2}: ",
    }


def test_a_broken_model_is_one_line_and_exit_code_1(tmp_path, cli):
    for name, message in broken_files(tmp_path).items():
        code, stdout, stderr = cli("evaluate", tmp_path / name, "--data", "digits")
        assert (code, stdout) == (1, ""), name
        assert stderr.startswith("fastconv: ") and stderr.count("\n") == 1
        assert message in stderr


def test_data_that_lenet_cannot_take(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    np.savez("wide.npz", images=np.zeros((10, 20, 30)), labels=np.arange(10) % 2)
    np.savez("text.npz", images=np.array(["a"]), labels=[0])
    code, stdout, stderr = cli("train", "--data", "wide.npz")
    assert (code, stdout) == (1, "") and "at least 12 x 12 pixels, those of wide.npz are 1 x 20 x 30" in stderr
    code, stdout, stderr = cli("train", "--data", "text.npz")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1


def test_a_reader_that_goes_away_gets_no_traceback():
    process = subprocess.Popen(command(*EXPLAIN), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(*EXPLAIN), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr == "fastconv: <stdout>: No space left on device\n"


def test_exit_codes_of_a_process(tmp_path):
    assert run("--version", cwd=tmp_path)[0] == 0
    assert run("evaluate", "missing.npz", cwd=tmp_path)[0] == 2
    (tmp_path / "broken.npz").write_text("x")
    assert run("evaluate", "broken.npz", cwd=tmp_path)[0] == 1


# ---------------------------------------------------------------------------------------------------------------------
# The default recipe


@pytest.mark.slow
def test_the_defaults_reach_their_accuracy(tmp_path):
    accuracies = []
    for seed in (0, 1, 2):
        code, stdout, _ = run("train", "--seed", seed, "--threads", 2, "--quiet", cwd=tmp_path)
        assert code == 0
        accuracies.append(float(LINE.fullmatch(stdout)[1]))
    assert np.mean(accuracies) >= 0.985, accuracies
