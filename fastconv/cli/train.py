"""``fastconv train``: a network on a data set, with a recipe by which LeNet-5 reaches 98.7 % on the bundled digits in
12 epochs.

The recipe: AdamW, one cycle of learning rate and momentum over at least 500 steps, label smoothing, and each image
a little shifted, turned and resized. The cycle begins at a fifth of its highest rate and is there after a fifth of the
steps, so that most of them are for what is learnt at falling rates. Stochastic gradient descent at the rate that suits
the digits, 0.1, leaves colour images at chance, few or many: the first layer's gradients grow with the brightness and
the channels of the images, and AdamW's steps do not depend on their size.
"""

from __future__ import annotations

import math
import shlex
import time
import warnings
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import data, nn, optim
from fastconv.cli.arguments import Parser, UsageError, check_place, choice, existing_file, integer, number
from fastconv.cli.curves import draw, picture_path
from fastconv.cli.evaluate import score
from fastconv.cli.models import TrainedOn, save_model
from fastconv.cli.networks import NETWORKS, SMALL
from fastconv.cli.output import Result, say, warn
from fastconv.cli.ranks import at_terminal, communicator
from fastconv.cli.sources import add_source_options, check_source_options, read_sources
from fastconv.data.doubts import check_finite, doubts
from fastconv.training import DivergedError, EarlyStopping, Trainer
from fastconv.training.interrupt import Gate, gated
from fastconv.training.ranks import RankError, Ranks

# The learning rate belongs to the optimiser, and AdamW's to the network too; the weight decay to the optimiser: AdamW's
# is not multiplied into the gradient.
_LR = {"sgd": 0.1, "adam": 0.003}
_WEIGHT_DECAY = {"sgd": 5e-4, "adam": 0.0, "adamw": 1e-2}
_MOMENTUM = 0.9

# Small sets of images have few batches in an epoch, and it is steps that a network learns in.
_EPOCHS = 12
_STEPS = 500

# Each with the options, the optimiser and the number of batches in an epoch.
_SCHEDULES: dict[str, Callable[[Namespace, optim.Optimizer, int], optim.Schedule | None]] = {
    "one-cycle": lambda options, optimizer, batches: optim.OneCycleLR(
        optimizer, optimizer.lr, epochs=options.epochs, steps_per_epoch=batches, pct_start=0.2, div_factor=5,
        cycle_momentum=options.momentum is None
    ),
    "cosine": lambda options, optimizer, batches: optim.CosineAnnealingLR(optimizer, options.epochs),
    "step": lambda options, optimizer, batches: optim.StepLR(optimizer, max(1, options.epochs // 3)),
    "constant": lambda options, optimizer, batches: None,
}

# Held out to decide when to stop early.
_VALIDATION = 0.1

_DESCRIPTION = """\
Trains a network, by default a LeNet-5 (two convolutions with max pooling, three fully connected layers), saves it, and
measures it on the test images. Without options: on the bundled 4,000 digits, to about 98.7 % on the other 1,000, into
./lenet.npz.

Ctrl-C leaves a checkpoint, and --resume goes on from it to the very weights of a training that was not interrupted.

mpiexec -n 4 fastconv train ... trains with four processes, on one machine or on several, to the same weights as with
any other number of them (it needs mpi4py)."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    add_source_options(parser, of_a_model=False)
    parser.option("data", "--validation", type=number(0, 1, open_ends=True), metavar="PART",
                  help="hold out this part of the training images, such as 0.1, and measure on it after each epoch "
                       "(default: where the data have a validation part beside their test part, that is measured)")
    parser.option("data", "--no-augment", action="store_true",
                  help="take the images as they are, instead of shifted up to 2 pixels, "
                       "turned 15 degrees, resized 15 %%")

    def training(name: str, **settings: Any) -> None:
        parser.option("training", name, **settings)

    training("--model", type=choice(*NETWORKS), default="lenet5", metavar="NAME",
             help="lenet5 (default), resnet-small (ResNet-20 for images of about 32 x 32), resnet18 (for images of "
                  f"at most {SMALL} x {SMALL} its form without a large first step), mobilenet-v2, vgg11 (with batch "
                  "normalisation and 512 features)")
    training("--epochs", type=integer(1, 1_000_000), metavar="N",
             help="passes over the training images "
                  f"(default {_EPOCHS}, or as many as make {_STEPS} steps if that is more)")
    training("--batch-size", type=integer(1, 1_000_000), default=64, metavar="N",
             help="images in one step (default %(default)s)")
    training("--pieces", type=integer(1, 65536), default=8, metavar="N",
             help="pieces of a batch that ranks share, where mpiexec starts several (default %(default)s); "
                  "the result depends on it, and not on the number of ranks")
    training("--optimizer", type=choice(*_WEIGHT_DECAY), metavar="NAME",
             help=f"{', '.join(_WEIGHT_DECAY)} (default adamw, with --momentum sgd)")
    training("--lr", type=number(open_ends=True), metavar="X",
             help="learning rate, the highest if it changes (default with adamw "
                  f"{NETWORKS['lenet5'].lr} of lenet5 and {NETWORKS['resnet18'].lr} of the others, "
                  f"with adam {_LR['adam']}, with sgd {_LR['sgd']})")
    training("--momentum", type=number(0, 0.999), metavar="X",
             help="of sgd, in Nesterov's form (default 0.9; with one-cycle, from 0.95 to 0.85 and back)")
    training("--weight-decay", type=number(), metavar="X",
             help="pull of the weights to zero (default 0.01, with adam 0, with sgd 0.0005)")
    training("--schedule", type=choice(*_SCHEDULES), default="one-cycle", metavar="NAME",
             help=f"how the learning rate changes: {', '.join(_SCHEDULES)} (default %(default)s)")
    training("--label-smoothing", type=number(0, 0.999), default=0.1, metavar="X",
             help="part of the target probability that goes to all classes alike (default %(default)s)")
    training("--early-stopping", type=integer(1), metavar="N",
             help="stop after N epochs without a better loss on the images held out "
                  "(--validation, then 0.1 by default), and keep the best weights")

    parser.option("file", "--output", type=_model_path, metavar="FILE",
                  help="where to save the model: .npz or .safetensors (default lenet.npz, with --model resnet-small "
                       "resnet-small.npz and so on)")
    parser.option("file", "--checkpoint", type=Path, metavar="FILE",
                  help="where to write the state after each epoch, .npz, "
                       "and keep it (default: beside the model, such as lenet.checkpoint.npz, removed at the end)")
    parser.option("file", "--history", type=_table_path, metavar="FILE",
                  help="write what each epoch gave as a table, .csv, which fastconv plot draws")
    parser.option("file", "--plot", type=picture_path, metavar="FILE",
                  help="draw the curves of the training, .png, .svg or .pdf, with Matplotlib")
    parser.option("file", "--resume", action="store_true",
                  help="go on from the checkpoint; data and options must be the same but --threads, --output, "
                       "--history, --plot and, with --schedule constant, --epochs, which may be more")


def run(options: Namespace) -> Result:
    with gated() as gate, gate:  # no rank may leave while others wait for it
        comm = communicator()
        if comm is None:
            with gate.opened():
                return _train(options, None, gate)
        ranks = Ranks(comm)
        if ranks.leads:
            gate.told = lambda: at_terminal("fastconv: interrupted")
            return _train(options, ranks, gate)
        options.quiet, options.json = True, False
        try:
            return _train(options, ranks, gate)
        except (KeyboardInterrupt, DivergedError, RankError) as error:  # rank 0 says it
            return Result({}, "", 130 if isinstance(error, KeyboardInterrupt) else 1)


def _train(options: Namespace, ranks: Ranks | None, gate: Gate) -> Result:
    """The training; of several ranks the first alone writes files."""
    start = time.perf_counter()
    leads = ranks is None or ranks.leads
    begin = partial(_begin, options, ranks)
    checkpoint, (train_set, held_out, test_set, trained_on), trainer = begin() if ranks is None else ranks.agree(begin)
    model, before = trainer.model, _version(checkpoint)

    def interruption() -> str:
        if _version(checkpoint) == before:
            return "interrupted"
        again = shlex.join([*(() if ranks is None else ("mpiexec", "-n", str(ranks.size))), "fastconv", "train",
                            *(word for word in options.argv if word != "--resume"), "--resume"])
        return f"interrupted; checkpoint written to {checkpoint}, go on with: {again}"

    if ranks is not None and leads:
        gate.told = lambda: at_terminal(f"fastconv: {interruption()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", data.DataWarning)  # said above
            history = trainer.fit(
                train_set,
                options.epochs,
                options.batch_size,
                validation=held_out,
                augment=None if options.no_augment else data.RandomAffine(fill=trained_on.background),
                seed=options.seed,
                progress=not options.quiet,
                early_stopping=options.early_stopping and EarlyStopping(options.early_stopping, restore_best=True),
                checkpoint=checkpoint,
                resume=options.resume,
            )
        if not leads:
            return Result({}, "")
        with gate.opened():
            scores, line = score(model, test_set, "test", options.output)
            save_model(model, options.output, trained_on, {"test_accuracy": scores["accuracy"]})
            if options.history is not None:
                history.save(options.history)
            if options.plot is not None:
                draw(history, options.plot)
        seconds = time.perf_counter() - start
    except DivergedError as error:
        done = len(error.history)
        kept = f"the checkpoint {checkpoint} is of epoch {done}" if done else "no epoch was done"
        raise DivergedError(f"{error}, --lr was {_lr(options):g}; no model is saved, {kept}", error.history) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interruption()) from None
    if options.checkpoint is None:
        checkpoint.unlink(missing_ok=True)
    say(options, f"saved {options.output} after {seconds:.1f} s")
    if chance := _at_chance(test_set, scores["accuracy"]):
        warn(options, chance)
    return Result({
        "model": str(options.output),
        "data": options.data,
        "test": scores,
        "history": history.to_dict(),
        "seconds": seconds,
        "warnings": options.warnings,
    }, line)  # fmt: skip


def _version(checkpoint: Path) -> int | None:
    """What is another where the file was written anew; None where there is none."""
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else None


def _begin(options: Namespace, ranks: Ranks | None) -> tuple[Path, tuple[Any, Any, Any, TrainedOn], Trainer]:
    """All that comes before the first step: the path of the checkpoint, the data, and the trainer."""
    checkpoint = _check(options, ranks is None or ranks.leads)
    train_set, held_out, test_set, trained_on = read_sources(options, options.model)
    for dataset, part in ((train_set, "training"), (held_out, "validation"), (test_set, "test")):
        if dataset is not None:
            if not len(dataset):
                raise ValueError(f"{options.data}: the {part} part has no image")
            check_finite(dataset, f"{options.data}, {part} part")
    for doubt in doubts(train_set):
        warn(options, f"{options.data}: {doubt}")
    if options.validation or (options.early_stopping and held_out is None):
        train_set, held_out = _hold_out(options, train_set)
    batches = math.ceil(len(train_set) / options.batch_size)
    if options.epochs is None:
        options.epochs = max(_EPOCHS, math.ceil(_STEPS / batches))
    network = NETWORKS[options.model]
    model = network.make(train_set.images.shape[1], len(train_set.classes), max(train_set.images.shape[2:]),
                         options.seed)  # fmt: skip
    trainer = _trainer(options, model, batches, None if ranks is None else ranks.comm)
    say(options,
        f"{network.title}, {sum(parameter.data.size for parameter in model.parameters()):,} parameters; {train_set}")
    if checkpoint.exists() and not options.resume:
        say(options, f"{checkpoint} of an earlier training will be replaced (--resume would go on from it)")
    return checkpoint, (train_set, held_out, test_set, trained_on), trainer


def _check(options: Namespace, writes: bool) -> Path:
    """What cannot be seen in one option alone, before the data are read, and, for who writes files, whether there is
    a place for them. Returns the path of the checkpoint."""
    if options.output is None:
        options.output = Path("lenet.npz" if options.model == "lenet5" else f"{options.model}.npz")
    if options.optimizer is None:
        options.optimizer = "adamw" if options.momentum is None else "sgd"
    if options.momentum is not None and options.optimizer != "sgd":
        raise UsageError(f"--momentum is for --optimizer sgd, got {options.optimizer}")
    check_source_options(options)
    checkpoint: Path = options.checkpoint or options.output.with_suffix(".checkpoint.npz")
    if checkpoint.suffix != ".npz":
        raise UsageError(f"--checkpoint must end in .npz, got {checkpoint}")
    if not writes:
        return checkpoint
    for name, path in (("--output", options.output), ("--checkpoint", checkpoint), ("--history", options.history),
                       ("--plot", options.plot)):
        if path is not None:
            check_place(path, name)
    if options.resume:
        existing_file(str(checkpoint), "--resume: checkpoint")
    return checkpoint


def _hold_out(options: Namespace, train_set: data.ArrayDataset) -> tuple[data.ArrayDataset, data.ArrayDataset]:
    """The images to train on, and those to measure on after each epoch."""
    part = options.validation or _VALIDATION
    if not 0 < round((1 - part) * len(train_set)) < len(train_set):
        raise UsageError(f"--validation {part:g} of {len(train_set)} training images leaves none to train "
                         "on or none to measure on")
    return train_set.split(1 - part, seed=options.seed)


def _trainer(options: Namespace, model: nn.Module, batches: int, comm: Any) -> Trainer:
    lr = _lr(options)
    decay = options.weight_decay if options.weight_decay is not None else _WEIGHT_DECAY[options.optimizer]
    optimizer: optim.Optimizer
    if options.optimizer == "sgd":
        momentum = options.momentum if options.momentum is not None else _MOMENTUM
        optimizer = optim.SGD(model.parameters(), lr, momentum, weight_decay=decay, nesterov=momentum > 0)
    else:
        adam = {"adam": optim.Adam, "adamw": optim.AdamW}[options.optimizer]
        optimizer = adam(model.parameters(), lr, weight_decay=decay)
    schedule = _SCHEDULES[options.schedule](options, optimizer, batches)
    return Trainer(model, optimizer, nn.CrossEntropyLoss(options.label_smoothing), schedule, comm=comm,
                   pieces=options.pieces)


def _lr(options: Namespace) -> float:
    if options.lr is not None:
        return options.lr
    return NETWORKS[options.model].lr if options.optimizer == "adamw" else _LR[options.optimizer]


def _at_chance(test_set: data.ArrayDataset, accuracy: float) -> str | None:
    """A sentence if the model is no better than one answer for all images, as far as so many images can tell."""
    counts = np.bincount(test_set.labels)
    chance = counts.max() / len(test_set)
    if chance == 1 or accuracy > chance + 2 * math.sqrt(chance * (1 - chance) / len(test_set)):
        return None
    return (f"this is chance: {test_set.classes[counts.argmax()]!r} for each of the {len(test_set)} test images would "
            f"have accuracy {chance:.4f}; see that folders or labels are right, then try another --lr, more --epochs, "
            "another --seed or --no-augment")


def _table_path(text: str) -> Path:
    """A type of option: a path that `History.save` can write."""
    path = Path(text)
    if path.suffix != ".csv":
        raise ArgumentTypeError(f"must end in .csv, got {text!r}")
    return path


def _model_path(text: str) -> Path:
    """A type of option: a path that `fastconv.save` can write."""
    path = Path(text)
    if path.suffix not in (".npz", ".safetensors"):
        raise ArgumentTypeError(f"must end in .npz or .safetensors, got {text!r}")
    if path.suffix == ".safetensors" and find_spec("safetensors") is None:
        raise ArgumentTypeError(f"needs the package safetensors (pip install fastconv[safetensors]) for {text!r}, "
                                "or use .npz")
    return path
