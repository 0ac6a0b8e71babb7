"""Conv2d in evaluation mode keeps what Winograd made of its weights:
the bits of conv2d, whatever happens to the weights."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim
from fastconv._core.runtime import memory
from fastconv._core.winograd import forward as winograd

X = np.random.default_rng(0).standard_normal((2, 32, 12, 12)).astype(np.float32)


def layer(**options):
    made = nn.Conv2d(32, 32, 3, padding=1, rng=0, **options).eval()
    made.bias.data[...] = np.arange(32)
    return made


def assert_right(subject, x=X):
    bias = subject.bias.data if subject.bias else None
    wanted = fc.conv2d(x, subject.weight.data, bias, **subject._options)
    np.testing.assert_array_equal(subject(x), wanted)


@pytest.fixture
def preparations(monkeypatch):
    """The weights that Winograd's filters were made from, call by call."""
    made, prepare = [], winograd.prepare
    monkeypatch.setattr(winograd, "prepare", lambda conv: made.append(conv.w) or prepare(conv))
    return made


def test_made_once_while_the_weights_stay(preparations):
    subject = layer()
    for images in (2, 2, 1, 2, 1):
        assert_right(subject, X[:images])
    with fc.num_threads(2):
        assert_right(subject)
    assert len(preparations) == 1


def step(subject):
    optimizer = optim.SGD(subject.parameters(), lr=0.1)
    for parameter in subject.parameters():
        parameter.add_grad(np.ones_like(parameter.data))
    optimizer.step()


def set_one(subject):
    subject.weight.data[-1, -1, -1, -1] += 1e-3


def another_array(subject):
    subject.weight.data = subject.weight.data * 2


def turned(subject):
    subject.weight.data = subject.weight.data[:, :, :, ::-1].copy()


def double_precision(subject):
    for parameter in subject.parameters():
        parameter.data = parameter.data.astype(np.float64)


def strided(subject):
    subject.weight.data = np.repeat(subject.weight.data, 2, 3)[..., ::2] + np.float32(0)
    subject.weight.data = subject.weight.data.transpose(1, 0, 2, 3)


CHANGES = {
    "optimiser": step,
    "one number in place": set_one,
    "a sign": lambda subject: np.negative(subject.weight.data[0], out=subject.weight.data[0]),
    "another array": another_array,
    "turned filters": turned,
    "state dict": lambda subject: subject.load_state_dict(nn.Conv2d(32, 32, 3, rng=1).state_dict()),
    "init": lambda subject: subject.weight.data.__setitem__(..., nn.init.he_normal((32, 32, 3, 3))),
    "view of the state dict": lambda subject: subject.state_dict()["weight"].fill(0.25),
    "NaN": lambda subject: subject.weight.data.__setitem__((3, 2, 1, 0), np.nan),
    "strides": strided,
    "other Parameter": lambda subject: setattr(subject, "weight", nn.Parameter(subject.weight.data + 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_weights_is_noticed(change, preparations):
    subject = layer()
    assert_right(subject)
    before = subject(X)
    CHANGES[change](subject)
    assert not np.array_equal(subject(X), before)
    assert_right(subject)
    CHANGES[change](subject)
    assert_right(subject)
    assert len(preparations) <= 3


def test_a_nan_in_the_weights_does_not_count_as_a_change(preparations):
    subject = layer()
    subject.weight.data[0, 0, 0, 0] = np.nan
    for _ in range(3):
        subject(X)
    assert len(preparations) == 1


def test_the_bias_is_that_of_the_call(preparations):
    subject = layer()
    assert_right(subject)
    subject.bias.data += 1
    assert_right(subject)
    subject.bias = None
    assert_right(subject)
    assert len(preparations) == 1


def test_another_dtype_is_noticed():
    subject = layer()
    assert_right(subject)
    double_precision(subject)
    assert_right(subject, X.astype(np.float64))
    with pytest.raises(TypeError, match="weight is float64 but x is float32"):
        subject(X)


@pytest.mark.parametrize("options", [{"stride": 2}, {"groups": 4}, {"bias": False}, {"padding_mode": "circular"},
                                     {"data_format": "NHWC"}, {"dtype": "float64"}], ids=str)
def test_options(options):
    subject = nn.Conv2d(32, 32, 3, padding=1, rng=0, **options).eval()
    x = X.astype(options.get("dtype", np.float32))
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if "data_format" in options else x
    for _ in range(2):
        assert_right(subject, x)
        set_one(subject)


def test_not_finite_goes_where_the_sum_sends_it():
    subject, x = layer(), X.copy()
    x[1, 3, 4, 5] = np.inf
    wanted = fc.conv2d(x, subject.weight.data, subject.bias.data, padding=1, algorithm="gemm")
    np.testing.assert_array_equal(np.isfinite(subject(x)), np.isfinite(wanted))


def test_nothing_is_kept_where_it_does_not_pay(preparations):
    subject = nn.Conv2d(32, 32, 1).eval()
    assert_right(subject)
    assert subject._kept._kept is None


def test_training_mode_keeps_nothing(preparations):
    subject = layer()
    subject(X)
    assert subject._kept._kept is not None
    subject.train()
    assert subject._kept._kept is None
    subject(X)
    assert subject._kept._kept is None and len(preparations) == 1


def test_memory_is_freed():
    before = memory.set_pool_bound(0)
    try:
        model = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()).eval()
        x = np.zeros((2, 64, 28, 28), np.float32)
        y = model(x)
        freed = []

        class Watch(np.ndarray):
            def __del__(self):
                freed.append(self.nbytes)

        kept = model[0]._kept._kept[0]
        kept.weight = kept.weight.view(Watch)
        del kept, y
        gc.collect()
        assert not freed
        model.train()
        gc.collect()
        assert freed == [64 * 64 * 9 * 4]
    finally:
        memory.set_pool_bound(before)


def test_evaluating_and_predict_leave_nothing_in_a_model_that_trains(preparations):
    model = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, rng=0), nn.Flatten(), nn.Linear(32 * 144, 3, rng=0))
    assert model.predict(np.concatenate([X, X, X]), batch_size=2).shape == (6,)
    assert len(preparations) == 1 and model[0]._kept._kept is None
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), loss=nn.CrossEntropyLoss())
    trainer.evaluate((np.concatenate([X, X]), np.zeros(4, np.int64)), batch_size=2)
    assert len(preparations) == 2 and model[0]._kept._kept is None
    model.eval()
    model.predict(X)
    model.predict(X)
    assert len(preparations) == 3 and model[0]._kept._kept is not None


def test_copies_pickles_and_state_dicts_hold_the_weights_alone():
    model = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, rng=0), nn.ReLU()).eval()
    wanted = model(X)
    size = len(pickle.dumps(model))
    model[0]._kept.forget()
    assert len(pickle.dumps(model)) == size
    np.testing.assert_array_equal(model(X), wanted)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model[:]):
        np.testing.assert_array_equal(again(X), wanted)
    again = copy.deepcopy(model)
    again(X)
    again[0].weight.data += 1
    assert not np.array_equal(again(X), wanted)
    np.testing.assert_array_equal(model(X), wanted)


def test_python_threads_share_a_layer():
    subject, wrong = layer(), []
    weights = [np.random.default_rng(i).standard_normal((32, 32, 3, 3)).astype(np.float32) for i in range(3)]
    wanted = [fc.conv2d(X, weight, subject.bias.data, padding=1) for weight in weights]

    def work(i):
        mine = copy.copy(subject)    # shares what is kept, has weights of its own
        for turn in range(60):
            mine.weight = nn.Parameter(weights[(i + turn // 7) % 3])
            if not np.array_equal(mine(X), wanted[(i + turn // 7) % 3]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
