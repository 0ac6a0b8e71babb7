"""The arguments of the command line: explain, info and help, and the one line for each that is wrong."""

import json
import os

import pytest
from processes import in_new_process

import fastconv as fc
from fastconv import nn

EXPLAIN = ["explain", "--input", "3x224x224", "--weight", "64x3x7x7", "--stride", "2", "--padding", "3"]


def test_explain_prints_what_fc_explain_gives(cli):
    explanation = fc.explain((3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    assert cli(*EXPLAIN) == (0, f"{explanation}\n", "")
    assert json.loads(cli(*EXPLAIN, "--json")[1]) == explanation.to_dict()
    assert "floor((224 + 2*3 - 7) / 2) + 1" in str(explanation)


@pytest.mark.parametrize("arguments, expected", [
    ("--input 64x16000 --weight 128x64x3", lambda: fc.explain((64, 16000), (128, 64, 3))),
    ("--input 2x64x100 --weight 8x64x3 --padding 1x2 --stride 2 --dilation 3",
     lambda: fc.explain((2, 64, 100), (8, 64, 3), padding=(1, 2), stride=2, dilation=3)),
    ("--input 100x64 --weight 8x64x3 --data-format NLC", lambda: fc.explain((100, 64), (8, 64, 3), data_format="NLC")),
    ("--input 3x16x112x112 --weight 64x3x3x7x7 --stride 1x2x2 --padding 1x3x3",
     lambda: fc.explain((3, 16, 112, 112), (64, 3, 3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3))),
    ("--input 2x3x4x8x8 --weight 4x3x3x3x3 --padding same", lambda: fc.explain((2, 3, 4, 8, 8), (4, 3, 3, 3, 3),
                                                                            padding="same")),
    ("--input 512x4x4 --weight 512x256x4x4 --stride 2 --padding 1 --transposed",
     lambda: fc.explain((512, 4, 4), (512, 256, 4, 4), stride=2, padding=1, transposed=True)),
    ("--input 8x50 --weight 8x4x3 --transposed --stride 2 --output-padding 1",
     lambda: fc.explain((8, 50), (8, 4, 3), transposed=True, stride=2, output_padding=1)),
    ("--input 8x4x5x5 --weight 8x4x2x3x3 --transposed --stride 2 --output-size 8x12x12",
     lambda: fc.explain((8, 4, 5, 5), (8, 4, 2, 3, 3), transposed=True, stride=2, output_size=(8, 12, 12))),
])
def test_explain_of_signals_volumes_and_transposed(cli, arguments, expected):
    assert cli("explain", *arguments.split()) == (0, f"{expected()}\n", "")
    code, stdout, _ = cli("explain", *arguments.split(), "--json")
    assert code == 0 and json.loads(stdout)["formula"] == list(expected().formula)


def test_explain_takes_every_option(cli):
    code, stdout, _ = cli("explain", "--input", "2x32x30x8", "--weight", "4x2x3x5", "--stride", "2x1",
                          "--padding", "same", "--dilation", "1x2", "--groups", 4, "--data-format", "NHWC",
                          "--dtype", "float64", "--padding-mode", "replicate", "--algorithm", "gemm",
                          "--json")  # fmt: skip
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
    "": ("a command is needed: train, evaluate, predict, explain, summary, slide, maps, plot, lecture, run, adapters, "
         "info, completion"),
    "trian": "unknown command 'trian' (did you mean train?): must be one of train, evaluate, predict, explain, summary",
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
    "train --history /dev/null/h.csv": "--history /dev/null/h.csv: there is no directory /dev/null",
    f"train --history {'a' * 300}.csv": ".csv: such a file cannot be written: File name too long",
    f"train --output {'a' * 300}/m.npz": "/m.npz: there is no directory aaa",
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
    "evaluate model.npz model.npz": "too many arguments: fastconv evaluate takes only one MODEL, "
                                    "got model.npz model.npz",
    "evaluate folder.npz": "MODEL must be a file, folder.npz is a directory",
    "evaluate model.npz --split tset": "--split: must be one of test, train, validation, all, "
                                       "got 'tset' (did you mean test?)",
    "evaluate model.npz --data missing": "--data missing: no such file or directory",
    "evaluate model.npz": "does not say what it was trained on: fastconv evaluate model.npz --data SOURCE, "
    "or fastconv evaluate model.npz --data digits for the bundled digits",
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
    "explain --input 224": "--input: must be channels x rows x columns, such as 3x224x224, or",
    "explain --input 3x0x8": "--input: must be channels x rows x columns",
    "explain --input 3xaxb": "--input: must be channels x rows x columns",
    "explain --input 3x8x8 --weight 4x3": "--weight: must be filters x channels/groups x rows x columns",
    "explain --input 3x8x8 --weight 4x3x3": "for filters of all channels pass (4, 3, 3, 3)",
    "explain --input 64x16000 --weight 4x64x3x3": "x_shape must have",
    "explain --input 64x100 --weight 4x64x3 --stride 1x2": "stride must be one integer",
    "explain --input 64x100 --weight 4x64x3 --data-format NCHW": "data_format must be one of 'NCL', 'NLC'",
    "explain --input 3x8x8 --weight 3x4x3x3 --output-padding 1": "output_padding must be left at 0 without transposed",
    "explain --input 3x8x8 --weight 3x4x3x3 --transposed --padding-mode reflect": "padding_mode must be 'constant'",
    "explain --input 3x8x8 --weight 3x4x3x3 --transposed --output-size 0": "--output-size: must be a whole number",
    "explain --input 3x8x8 --weight 4x2x3x3": "weight must have shape (K, C/groups, R, S) with C/groups = 3",
    "explain --input 3x8x8 --weight 4x3x9x9": "weight does not fit into x",
    "explain --input 3x8x8 --weight 4x3x3x3 --groups 2": "groups must divide",
    "explain --input 3x8x8 --weight 4x3x3x3 --stride 0": "--stride: must be a whole number of at least 1, or one",
    "explain --input 3x8x8 --weight 4x3x3x3 --padding sme": "or same or valid, got 'sme' (did you mean same?)",
    "explain --input 3x8x8 --weight 4x3x3x3 --padding -1": "--padding: must be a whole number of at least 0",
    "explain --input 3x8x8 --weight 4x3x3x3 --dtype float16": "must be one of float32, float64, "
    "got 'float16' (did you mean",
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
