"""The command line: results, exit codes, one-line errors, Ctrl-C, and what lands on stdout and stderr."""

import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
from processes import command, in_new_process, with_ctrl_c

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
    optimizer = optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.01)
    schedule = optim.OneCycleLR(optimizer, max_lr=0.003, epochs=epochs, steps_per_epoch=63)
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
    code, stdout, _ = cli("train", "--data", "some.npz", "--epochs", 60, "--early-stopping", 1, "--lr", 0.3, "--momentum", 0,
                          "--schedule", "constant", "--no-augment", "--json")  # fmt: skip
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
    code, stdout, _ = cli("train", "--data", digit_folder, "--size", 20, "--channels", 1, "--epochs", 12, "--batch-size", 8,
                          "--lr", 0.02, "--no-augment")  # fmt: skip
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
# predict


def the_seven(folder):
    sevens = data.digits("test")
    sevens = sevens.images[sevens.labels == 7]
    narrow = sevens[(sevens[..., :6] == 0).all((1, 2, 3)) & (sevens[..., 22:] == 0).all((1, 2, 3))]
    return narrow[[fc.load(folder / "lenet.npz").predict_proba(narrow)[:, 7].argmax()]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, trained):
    """A folder with one 7 in several forms: a narrow one that the model is sure of."""
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.uint8(the_seven(trained[0])[0, 0] * 255)
    digit = image.fromarray(pixels)
    digit.save(folder / "plain.png")
    digit.resize((280, 280)).save(folder / "large.jpg")
    image.fromarray(255 - pixels).save(folder / "paper.png")
    image.fromarray(255 - pixels).convert("RGB").resize((140, 140)).save(folder / "colour.png")
    image.fromarray(np.pad(pixels, ((0, 0), (2, 2)))).save(folder / "wide.png")
    image.fromarray(np.repeat(np.repeat(pixels[:, 6:22], 3, 0), 3, 1)).save(folder / "narrow.png")
    np.save(folder / "array.npy", pixels)
    np.save(folder / "float.npy", np.float64(pixels) / 255)
    return folder


FORMS = ("plain.png", "large.jpg", "paper.png", "colour.png", "wide.png", "narrow.png", "array.npy", "float.npy")


def test_predict_prints_class_and_probability(trained, in_trained, pictures, cli):
    files = [pictures / name for name in FORMS]
    code, stdout, stderr = cli("predict", *files)
    assert code == 0
    lines = stdout.splitlines()
    assert len(lines) == len(files)
    for file, line in zip(files, lines):
        found = re.fullmatch(rf"{re.escape(str(file))} +(\d) (0\.\d{{4}}|1\.0000)", line)
        assert found and found[1] == "7", line
    assert stderr.count("inverted") == 2 and "paper.png" in stderr and "colour.png" in stderr


def test_predict_as_json(trained, in_trained, pictures, cli):
    code, stdout, stderr = cli("predict", pictures / "plain.png", pictures / "paper.png", "--top", 3, "--json", "--quiet")
    plain, paper = json.loads(stdout)["predictions"]
    assert (code, stderr) == (0, "")
    expected = fc.load("lenet.npz").predict_proba(the_seven(trained[0]))[0]
    assert plain["class"] == "7" and plain["probability"] == pytest.approx(float(expected[7]), rel=1e-5)
    assert [entry["class"] for entry in plain["top"]] == [str(label) for label in np.argsort(-expected)[:3]]
    assert (plain["inverted"], paper["inverted"]) == (False, True)
    assert paper["class"] == "7" and paper["probability"] == pytest.approx(plain["probability"], rel=1e-3)


def test_invert_can_be_forced_and_forbidden(trained, in_trained, pictures, cli):
    def first(*arguments):
        return json.loads(cli("predict", *arguments, "--top", 10, "--json")[1])["predictions"][0]

    plain, paper = pictures / "plain.png", pictures / "paper.png"
    wrong, kept = first(plain, "--invert"), first(paper, "--no-invert")
    assert (wrong["inverted"], kept["inverted"]) == (True, False)
    assert kept["probability"] == pytest.approx(wrong["probability"], rel=1e-3)
    assert first(plain, "--no-invert")["top"] == first(plain)["top"] != wrong["top"]


def test_a_bad_image_leaves_the_others_their_answer(trained, in_trained, pictures, tmp_path, cli):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    code, stdout, stderr = cli("predict", tmp_path / "bad.png", pictures / "plain.png")
    assert code == 1 and stdout.startswith(str(pictures / "plain.png")) and stdout.count("\n") == 1
    assert stderr.startswith("fastconv: ") and "bad.png" in stderr and stderr.count("\n") == 1
    code, stdout, _ = cli("predict", tmp_path / "bad.png", pictures / "plain.png", "--json")
    bad, plain = json.loads(stdout)["predictions"]
    assert code == 1 and "bad.png" in bad["error"] and plain["class"] == "7"


def test_predict_with_a_model_that_says_nothing_about_its_images(pictures, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    fc.save(nn.models.lenet5(rng=0), "bare.npz")
    assert cli("predict", pictures / "plain.png", "--model", "bare.npz")[0] == 0
    assert cli("predict", pictures / "large.jpg", "--model", "bare.npz", "--size", 28)[0] == 0
    code, _, stderr = cli("predict", pictures / "large.jpg", "--model", "bare.npz")
    assert code == 1 and stderr.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------------------
# explain, info, help


def test_explain_prints_what_fc_explain_gives(cli):
    explanation = fc.explain((3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    assert cli(*EXPLAIN) == (0, f"{explanation}\n", "")
    assert json.loads(cli(*EXPLAIN, "--json")[1]) == explanation.to_dict()
    assert "floor((224 + 2*3 - 7) / 2) + 1" in str(explanation)


def test_explain_takes_every_option(cli):
    code, stdout, _ = cli("explain", "--input", "2x32x30x8", "--weight", "4x2x3x5", "--stride", "2x1", "--padding", "same",
                          "--dilation", "1x2", "--groups", 4, "--data-format", "NHWC", "--dtype", "float64",
                          "--padding-mode", "replicate", "--algorithm", "gemm", "--json")  # fmt: skip
    expected = fc.explain((2, 32, 30, 8), (4, 2, 3, 5), stride=(2, 1), padding="same", dilation=(1, 2), groups=4,
                          data_format="NHWC", dtype="float64", padding_mode="replicate", algorithm="gemm")  # fmt: skip
    assert code == 0 and json.loads(stdout) == expected.to_dict()


def test_info(cli, capsys):
    fc.show_config()
    shown = capsys.readouterr().out
    code, stdout, _ = cli("info")
    assert code == 0 and stdout.startswith(shown) and "extras" in stdout
    document = json.loads(cli("info", "--json", "--threads", 1)[1])
    assert document["threads"] == 1 and document["isa"] == fc.show_config("dicts")["isa"]
    assert set(document["extras"]) == {"tqdm", "pillow", "safetensors", "matplotlib"}


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "explain", "info", "completion"])
def test_every_command_has_help_and_the_common_options(name, cli):
    code, stdout, stderr = cli(name, "--help")
    assert (code, stderr) == (0, "")
    for option in ("--json", "--seed", "--threads", "--quiet"):
        assert option in stdout
    assert name in cli("--help")[1]
    assert cli("help", name) == (code, stdout, stderr)


def test_help_and_version_in_every_spelling(cli):
    for word in ("--version", "-V", "version"):
        assert cli(word) == (0, f"fastconv {fc.__version__}\n", "")
    assert cli("help") == cli("help", "help") == cli("--help") == cli("-h") and cli("help")[0] == 0


def test_help_and_info_import_nothing_they_do_not_need():
    script = """
        import sys
        from fastconv.cli import main
        for arguments in (["--help"], ["--version"], ["info"], ["explain", "--input", "1x8x8", "--weight", "1x1x3x3"]):
            assert main(arguments) == 0
        loaded = [name for name in ("nn", "data", "optim", "training") if f"fastconv.{name}" in sys.modules]
        assert not loaded, loaded
        """
    in_new_process(script)


# ---------------------------------------------------------------------------------------------------------------------
# Wrong arguments

WRONG = {
    "": "a command is needed: train, evaluate, predict, explain, info, completion",
    "trian": "unknown command 'trian' (did you mean train?): must be one of train, evaluate, predict, explain, info",
    "hlep": "unknown command 'hlep' (did you mean help?)",
    "help trian": "unknown command 'trian' (did you mean train?)",
    "--versoin": "--versoin before a command (did you mean --version?)",
    "--json info": "--json before a command: only --help and --version can stand there",
    "train --epoch 3": "unknown option --epoch (did you mean --epochs?): see fastconv train --help\n",
    "train --epoch=3": "unknown option --epoch (did you mean --epochs?)",
    "train extra": "too many arguments: fastconv train takes options only, got extra",
    "train --epochs": "--epochs: a value must follow, got none",
    "train --epochs 0": "--epochs: must be a whole number from 1 to 1000000, got '0'",
    "train --epochs 1.5": "--epochs: must be a whole number from 1 to 1000000, got '1.5'",
    "train --batch-size -64": "--batch-size: must be a whole number from 1 to 1000000, got '-64'",
    "train --lr 0": "--lr: must be a number above 0, got '0'",
    "train --lr nan": "--lr: must be a number above 0, got 'nan'",
    "train --lr fast": "--lr: must be a number above 0, got 'fast'",
    "train --momentum 1": "--momentum: must be a number from 0 to 0.999, got '1'",
    "train --weight-decay -1": "--weight-decay: must be a number of at least 0, got '-1'",
    "train --weight-decay inf": "--weight-decay: must be a number of at least 0, got 'inf'",
    "train --validation 1": "--validation: must be a number above 0 and below 1, got '1'",
    "train --optimizer sdg": "--optimizer: must be one of sgd, adam, adamw, got 'sdg' (did you mean sgd?)",
    "train --optimizer adam --momentum 0.9": "--momentum is for --optimizer sgd, got adam",
    "train --schedule cosin": "must be one of one-cycle, cosine, step, constant, got 'cosin' (did you mean cosine?)",
    "train --data digit": "--data digit: no such file or directory (did you mean 'digits'?)",
    "train --data missing.npz": "--data missing.npz: no such file or directory; a data set is 'digits', a directory",
    "train --size 28": "--size is for folders of image files, got --data digits",
    "train --data missing --size 28": "--data missing: no such file or directory",
    "train --channels 2": "--channels: must be one of 1, 3, got '2'",
    "train --output model.pt": "--output: must end in .npz or .safetensors, got 'model.pt'",
    "train --output missing/m.npz": "--output missing/m.npz: there is no directory missing",
    "train --output folder.npz": "--output must be a file, folder.npz is a directory",
    "train --checkpoint state": "--checkpoint must end in .npz, got state",
    "train --resume": "--resume: checkpoint lenet.checkpoint.npz does not exist",
    "train --early-stopping 0": "--early-stopping: must be a whole number of at least 1, got '0'",
    "train --data=": "--data: must be a data set, got '' (write . for the current folder)",
    "evaluate model.npz --data=": "--data: must be a data set, got ''",
    "predict 2.npz --model=": "--model must be a file, got ''",
    "train --vali 0.2": "unknown option --vali (did you mean --validation?): see fastconv train --help",
    "train --lab=0.2": "unknown option --lab (did you mean --label-smoothing?)",
    "eval model.npz": "unknown command 'eval' (did you mean evaluate?)",
    "train --json=yes": "--json: takes no value, got 'yes'",
    "evaluate": "MODEL is missing: fastconv evaluate MODEL",
    "evaluate modle.npz": "MODEL modle.npz does not exist (did you mean model.npz?)",
    "evaluate model.npz model.npz": "too many arguments: fastconv evaluate takes only one MODEL, got model.npz model.npz",
    "evaluate folder.npz": "MODEL must be a file, folder.npz is a directory",
    "evaluate model.npz --split tset": "--split: must be one of test, train, validation, all, got 'tset' (did you mean test?)",
    "evaluate model.npz --data missing": "--data missing: no such file or directory",
    "evaluate model.npz": "does not say what it was trained on: fastconv evaluate model.npz --data SOURCE, or fastconv evaluate "
                          "model.npz --data digits for the bundled digits",
    "evaluate MODEL.npz": "MODEL MODEL.npz does not exist (did you mean model.npz?)",
    "predict 2.npz --model model1.npz": "--model model1.npz does not exist: fastconv train makes one",
    "predict 2.npz --model model.safetensors": "--model model.safetensors does not exist (did you mean model.npz?): ",
    "train --fit strech": "--fit: must be one of stretch, pad, got 'strech' (did you mean stretch?)",
    "train --fit pad": "--fit is for folders of image files, got --data digits",
    "completion": "SHELL is missing: fastconv completion SHELL",
    "completion basch": "SHELL must be one of bash, zsh, fish, got 'basch' (did you mean bash?)",
    "predict": "IMAGE is missing: fastconv predict IMAGE",
    "evaluate seven.png": "MODEL must be a model's file, seven.png is an image: fastconv predict seven.png",
    "predict model.npz 7.png": "IMAGE model.npz is a model: --model model.npz",
    "predict seven.png model.npz --model model.npz": "IMAGE model.npz is a model: --model model.npz",
    "predict 7.png": "--model lenet.npz does not exist: fastconv train makes one",
    "predict 7.png --model model.npz": "IMAGE 7.png does not exist",
    "predict 7.png --mdoel model.npz": "unknown option --mdoel (did you mean --model?)",
    "predict --top 0 7.png": "--top: must be a whole number of at least 1, got '0'",
    "predict -- --top": "--model lenet.npz does not exist",
    "explain": "--input is missing: a shape such as 3x224x224",
    "explain --input 3x8x8": "--weight is missing: a shape such as 64x3x7x7",
    "explain --input 3x224": "--input: must be channels x rows x columns, such as 3x224x224, or",
    "explain --input 3x0x8": "--input: must be channels x rows x columns",
    "explain --input 3xaxb": "--input: must be channels x rows x columns",
    "explain --input 3x8x8 --weight 4x3x3": "--weight: must be filters x channels/groups x rows x columns",
    "explain --input 3x8x8 --weight 4x2x3x3": "weight must have shape (K, C/groups, R, S) with C/groups = 3",
    "explain --input 3x8x8 --weight 4x3x9x9": "weight does not fit into x",
    "explain --input 3x8x8 --weight 4x3x3x3 --groups 2": "groups must divide",
    "explain --input 3x8x8 --weight 4x3x3x3 --stride 0": "--stride: must be a whole number of at least 1 or two",
    "explain --input 3x8x8 --weight 4x3x3x3 --padding sme": "or same or valid, got 'sme' (did you mean same?)",
    "explain --input 3x8x8 --weight 4x3x3x3 --padding -1": "--padding: must be a whole number of at least 0",
    "explain --input 3x8x8 --weight 4x3x3x3 --dtype float16": "must be one of float32, float64, got 'float16' (did you mean",
    "explain --input 9999999999x9999999999x9999999999 --weight 1x9999999999x1x1": "more bytes than can be addressed",
    "info --threads 0": "--threads: must be a whole number from 1 to 1024, got '0'",
    "info --thread 2": "unknown option --thread (did you mean --threads?): see fastconv info --help\n",
    "info --foo": "unknown option --foo: fastconv info takes --help, --json, --quiet, --seed, --threads\n",
    "info --seed -1": "--seed: must be a whole number from 0 to ",
}  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_argument_is_one_line_and_exit_code_2(arguments, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "seven.png").touch()
    fc.save(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "model.npz")
    code, stdout, stderr = cli(*arguments.split())
    assert (code, stdout) == (2, "")
    assert stderr.startswith("fastconv: ") and stderr.count("\n") == 1
    assert WRONG[arguments] in stderr
    assert sorted(os.listdir()) == ["folder.npz", "model.npz", "seven.png"]


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
