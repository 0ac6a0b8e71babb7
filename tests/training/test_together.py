"""Training by several ranks: the same bits on any number of them. The ranks are threads here; `test_mpi` has real
ones."""

import numpy as np
import pytest
from rank_threads import on_ranks, pretend
from small_training import IMAGES, LABELS, TRAIN, VALIDATION, trainer as plain_trainer, without_time

from fastconv import data, nn, optim
from fastconv.training import DivergedError, Trainer
from fastconv.training.ranks import RankError, Ranks


@pytest.fixture(autouse=True)
def _without_mpi(monkeypatch):
    pretend(monkeypatch)


class Own(nn.Module):
    """A layer of a user's own, which adds to a gradient twice and has a count and running numbers."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(4, np.float32))
        self.unused = nn.Parameter(np.ones(2, np.float32))
        self.register_buffer("mean", np.zeros(4, np.float32))
        self.register_buffer("table", np.full(3, 0.1, np.float32))
        self.register_buffer("passes", np.array(0))

    def forward(self, x):
        if self.training:
            self.mean = self.mean + 0.1 * (x.mean(axis=(0, 2, 3)) - self.mean)
            self.passes += 1
        self.remember(x)
        return x * self.scale.data[:, None, None]

    def backward(self, grad_output, needs_input_grad=True):
        x = self.recall()
        for half in (slice(0, 1), slice(1, None)):
            self.scale.add_grad((grad_output[half] * x[half]).sum(axis=(0, 2, 3)))
        return grad_output * self.scale.data[:, None, None]


class Reusing(Own):
    """One that has a single array for all its gradients."""

    def __init__(self):
        super().__init__()
        self.room = np.zeros(4, np.float32)

    def backward(self, grad_output, needs_input_grad=True):
        np.sum(grad_output * self.recall(), axis=(0, 2, 3), out=self.room)
        self.scale.add_grad(self.room)
        return grad_output * self.scale.data[:, None, None]


class Scaling(nn.Sequential):
    """A network that changes a gradient of its first layer when that has been told."""

    def backward(self, grad_output, needs_input_grad=True):
        grad = super().backward(grad_output, needs_input_grad)
        self.layers["0"].weight.grad *= 0.5
        return grad


class Centred(nn.CrossEntropyLoss):
    """A loss with a parameter."""

    def __init__(self):
        super().__init__()
        self.centre = nn.Parameter(np.zeros(3, np.float32))

    def __call__(self, x, target, sample_weight=None):
        return super().__call__(x + self.centre.data, target, sample_weight)

    def backward(self, grad_output=1.0):
        grad = super().backward(grad_output)
        self.centre.add_grad(grad.sum(axis=0))
        return grad


def model(*behind, rng=1):
    rng = np.random.default_rng(rng)
    return nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), *behind, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(36, 3, rng=rng))


MODELS = {
    "plain": lambda: model(),
    "dropout": lambda: model(nn.Dropout2d(0.2, rng=np.random.Generator(np.random.MT19937(3))), nn.Dropout(0.2, rng=2)),
    "norm": lambda: model(nn.BatchNorm2d(4)),
    "residual": lambda: model(nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=5), nn.BatchNorm2d(4)),
                                          activation="relu"), nn.BatchNorm2d(4, momentum=None)),
    "own": lambda: model(Own()),
    "reusing": lambda: model(Reusing()),
}
OPTIMIZERS = {"SGD": lambda params: optim.SGD(params, 0.05, 0.9), "Adam": lambda params: optim.Adam(params, 0.01)}


def run(comm, kind="norm", optimizer="SGD", loss=nn.CrossEntropyLoss, options=None, **fit):
    subject, judge = MODELS[kind](), loss()
    params = subject.parameters() + ([judge.centre] if loss is Centred else [])
    made = Trainer(subject, OPTIMIZERS[optimizer](params), judge, comm=comm, **(options or {}))
    # 44 images: batches of 18, 18 and 8, whose pieces differ in length.
    history = made.fit(TRAIN, **(dict(epochs=2, batch_size=18, validation=VALIDATION, progress=False, seed=3,
                                      augment=data.RandomAffine()) | fit))
    return {**subject.state_dict(), **{f"beside {i}": p.data for i, p in enumerate(params)}}, without_time(history)


def same_on_all(work, ranks=(2, 3, 4)):
    (expected,) = on_ranks(1, work)
    assert not isinstance(expected, BaseException), expected
    for size in ranks:
        for result in on_ranks(size, work):
            if isinstance(result, BaseException):
                raise result
            np.testing.assert_equal(result, expected)
    return expected


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", MODELS)
def test_any_number_of_ranks_ends_with_the_same_bits(kind, optimizer):
    same_on_all(lambda comm: run(comm, kind, optimizer))


@pytest.mark.parametrize("kind", ["norm", "residual", "own"])
def test_synchronised_too(kind):
    same_on_all(lambda comm: run(comm, kind, options=dict(sync_batch_norm=True)))


def test_a_gradient_that_has_left_is_not_changed(monkeypatch):
    """It would be lost, or not, as the pieces of a rank go."""
    monkeypatch.setitem(MODELS, "scaling", lambda: Scaling(*model().layers.values()))
    (error,) = on_ranks(1, lambda comm: run(comm, "scaling"))
    assert isinstance(error, ValueError) and "read-only" in str(error)


def test_more_ranks_than_pieces():
    options = dict(pieces=2, clip_grad_norm=0.5)
    same_on_all(lambda comm: run(comm, options=options), (2, 3))
    same_on_all(lambda comm: run(comm, options=options | dict(sync_batch_norm=True)), (2, 3))


@pytest.mark.parametrize("loss", [
    lambda: nn.CrossEntropyLoss(0.1, weight=np.array([1.0, 2.0, 0.5])), lambda: nn.CrossEntropyLoss(ignore_index=2),
    lambda: nn.CrossEntropyLoss(reduction="sum"), Centred])
def test_any_loss(loss):
    same_on_all(lambda comm: run(comm, loss=loss, epochs=1), (3,))


def test_images_that_count_unequally_or_not_at_all():
    weights = np.arange(44) % 5 * 1.0
    weights[np.random.default_rng(0).permutation(44)[:30]] = 0
    same_on_all(lambda comm: run(comm, sample_weight=weights, batch_size=5))


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, lambda: nn.CrossEntropyLoss(weight=np.array([1.0, 2.0, 0.5])),
                                  lambda: nn.CrossEntropyLoss(ignore_index=2), Centred])
@pytest.mark.parametrize("kind", ["plain", "norm"])
def test_the_gradient_is_that_of_the_whole_batch(kind, loss):
    """To rounding; with batch normalisation, that of the whole batch."""
    def ends(comm):
        options = dict(sync_batch_norm=True) if comm else {}
        return run(comm, kind, loss=loss, options=options, augment=None, sample_weight=np.arange(44) % 3)

    (together,), alone = on_ranks(1, ends), ends(None)
    for name, array in alone[0].items():
        np.testing.assert_allclose(together[0][name], array, rtol=2e-4, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(together[1]["train_loss"], alone[1]["train_loss"], rtol=1e-5)
    assert together[1]["train_accuracy"] == alone[1]["train_accuracy"]


def test_buffers_that_a_pass_does_not_change_keep_their_bits_and_counts_count_batches():
    state, _ = same_on_all(lambda comm: run(comm, "own"), (2,))
    assert state["1.table"].tolist() == [np.float32(0.1)] * 3
    assert state["1.passes"] == 6  # three batches, twice
    assert state["1.unused"].tolist() == [1, 1]


def test_ranks_begin_with_what_rank_0_has():
    def work(comm):
        subject = model(rng=comm.rank)
        Trainer(subject, optim.SGD(subject.parameters(), 0.05), nn.CrossEntropyLoss(), comm=comm).fit(
            TRAIN, 1, 18, progress=False)
        return subject.state_dict()

    first, second = on_ranks(2, work)
    np.testing.assert_equal(first, second)


@pytest.mark.parametrize("ranks", [(3, 1), (1, 2), (2, 4)])
@pytest.mark.parametrize("kind", ["dropout", "residual"])
def test_a_run_goes_on_with_another_number_of_ranks(tmp_path, kind, ranks):
    whole = same_on_all(lambda comm: run(comm, kind, epochs=4), ())
    before, after = ranks

    def files(comm):  # the others have no such folder
        return dict(checkpoint=tmp_path / "run.npz" if comm.rank == 0 else "/nowhere/run.npz")

    on_ranks(before, lambda comm: run(comm, kind, epochs=2, **files(comm)))
    for result in on_ranks(after, lambda comm: run(comm, kind, epochs=4, resume=True, **files(comm))):
        np.testing.assert_equal(result, whole)


@pytest.mark.parametrize(("options", "message"), [
    (dict(options=dict(pieces=4)), "of a run with pieces 8, this one has 4"),
    (dict(options=dict(sync_batch_norm=True)), "of a run with sync_batch_norm False, this one has True"),
])
def test_a_run_is_resumed_as_it_was(tmp_path, options, message):
    path = tmp_path / "run.npz"
    on_ranks(2, lambda comm: run(comm, epochs=1, checkpoint=path))
    first, second = on_ranks(2, lambda comm: run(comm, checkpoint=path, resume=True, **options))
    assert isinstance(first, ValueError) and message in str(first)
    assert isinstance(second, RankError) and str(second).startswith("rank 0 of 2 failed: ValueError: ")
    with pytest.raises(ValueError, match="of a run with pieces 8, this one has None"):
        run(None, checkpoint=path, resume=True)


def test_a_run_that_diverges_does_so_on_all_ranks():
    def work(comm):
        subject = MODELS["norm"]()
        before = {name: array.copy() for name, array in subject.state_dict().items()}
        made = Trainer(subject, optim.SGD(subject.parameters(), 1e30), nn.CrossEntropyLoss(), comm=comm)
        with pytest.raises(DivergedError, match="the loss of batch 2 is nan"):
            made.fit(TRAIN, 3, 18, progress=False)
        np.testing.assert_equal(subject.state_dict(), before)
        return True

    assert on_ranks(3, work) == [True] * 3


@pytest.mark.parametrize(("of_rank_1", "message"), [
    (dict(batch_size=9), "rank 1 has batch_size 9, rank 0 has 18"),
    (dict(seed=4), "rank 1 has seed 4, rank 0 has 3"),
    (dict(epochs=5), "rank 1 has epochs 5, rank 0 has 2"),
    (dict(optimizer="Adam"), "rank 1 has optimizer Adam, rank 0 has SGD"),
    (dict(kind="own"), "rank 1 has "),
])
def test_ranks_that_are_made_differently_are_told(of_rank_1, message):
    for error in on_ranks(2, lambda comm: run(comm, **of_rank_1 if comm.rank else {})):
        assert isinstance(error, RankError) and message in str(error)


def test_another_instruction_set_is_told(monkeypatch):
    from fastconv.training import ranks

    names = iter(["avx2", "avx512"])
    monkeypatch.setattr(ranks.isa, "in_use", lambda: next(names))
    for error in on_ranks(2, run):
        assert isinstance(error, RankError) and "instruction set (FASTCONV_ISA)" in str(error)


def test_a_wrong_argument_of_one_rank_ends_all():
    first, second, third = on_ranks(3, lambda comm: run(comm, batch_size=0 if comm.rank == 1 else 18))
    assert isinstance(second, ValueError) and "batch_size" in str(second)
    for error in (first, third):
        assert isinstance(error, RankError) and "rank 1 of 3 failed: ValueError: batch_size" in str(error)


def test_ctrl_c_on_one_rank_ends_what_all_are_to_agree_on():
    def work(comm):
        def read():
            if comm.rank == 1:
                raise KeyboardInterrupt

        return Ranks(comm).agree(read)

    assert [type(error) for error in on_ranks(3, work)] == [KeyboardInterrupt] * 3


@pytest.mark.parametrize("sync", [False, True])
def test_an_error_within_a_step_of_one_rank_ends_all(sync, capsys):
    def fail(images, rng):
        raise OSError("the disk is gone")

    class Failing(data.RandomAffine):
        own = False

        def __getstate__(self):
            return {}

        def __call__(self, images, rng):
            return fail(images, rng) if self.own else super().__call__(images, rng)

    def work(comm):
        augment = Failing()
        augment.own = comm.rank == 1
        return run(comm, augment=augment, options=dict(sync_batch_norm=sync))

    first, second = on_ranks(2, work)
    assert isinstance(second, OSError) and isinstance(first, RuntimeError)
    assert "rank 1 of 2 (process " in capsys.readouterr().err


def test_rank_0_alone_reports(capsys):
    on_ranks(3, lambda comm: run(comm, progress=True))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["rank 0 of 3", "rank 1 of 3", "rank 2 of 3"]
    assert [line.split()[1] for line in lines[3:]] == ["1/2", "2/2"]


def test_evaluation_is_shared_and_gives_what_one_gives():
    def work(comm):
        made = plain_trainer()
        if comm is not None:
            made = Trainer(made.model, made.optimizer, made.loss, comm=comm)
        return made.evaluate((IMAGES, LABELS), batch_size=7)

    alone = work(None)
    assert on_ranks(4, work) == [alone] * 4


@pytest.mark.parametrize("comm", [1, "MPI", object()])
def test_what_is_no_communicator_is_refused(comm):
    with pytest.raises(TypeError, match=r"comm must be a communicator of mpi4py such as MPI.COMM_WORLD.*fastconv\[mpi"):
        run(comm)


@pytest.mark.parametrize(("options", "message"), [(dict(pieces=0), "pieces"), (dict(pieces=True), "pieces"),
                                                  (dict(sync_batch_norm=1), "sync_batch_norm")])
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run(None, options=options)
