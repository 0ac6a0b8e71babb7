"""What belongs to a module: parameters and modules in lists, tuples and dicts, buffers,
names that lead to one array."""

import copy
import pickle

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim


class Net(nn.Module):
    """Parts in every kind of place."""

    def __init__(self):
        self.blocks = [nn.Linear(2, 2, rng=0), nn.Sequential(nn.Linear(2, 2, rng=1), nn.Dropout())]
        self.pair = (nn.ReLU(), nn.Linear(2, 2, bias=False, rng=2))
        self.heads = {"a": nn.Linear(2, 1, bias=False, rng=3), 7: [{"deep": nn.Tanh()}, nn.Parameter([4.0])]}
        self.scales = [nn.Parameter([1.0]), nn.Parameter([2.0, 3.0])]
        self.gain = nn.Parameter([5.0])
        self.numbers = [1, "two", None, np.zeros(3)]

    def forward(self, x):
        return self.heads["a"](self.pair[1](self.blocks[1](self.blocks[0](x))))


NAMES = ["heads.7.1", "scales.0", "scales.1", "gain", "blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight",
         "blocks.1.0.bias", "pair.1.weight", "heads.a.weight"]  # fmt: skip


def test_parameters_in_lists_tuples_and_dicts():
    net = Net()
    assert list(net.state_dict()) == NAMES == [name for name, _ in net.named_parameters()]
    assert len(net.parameters()) == len(NAMES)
    assert [name for name, _ in net.named_modules("net")] == [
        "net", "net.blocks.0", "net.blocks.1", "net.blocks.1.0", "net.blocks.1.1", "net.pair.0",
        "net.pair.1", "net.heads.a", "net.heads.7.0.deep"]  # fmt: skip
    assert [name for name, _ in nn.Sequential(nn.ReLU(), net).named_parameters()] == [f"1.{name}" for name in NAMES]
    assert list(copy.deepcopy(net).state_dict()) == list(pickle.loads(pickle.dumps(net)).state_dict()) == NAMES


def test_attributes_of_ones_own_do_not_get_in_the_way():
    class Recurrent(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(1, 1))
            self.last, self._state, self._paths, self._entries, self._buffers, self._watched = range(6)

    model = Recurrent()
    assert list(model.state_dict()) == ["0.weight", "0.bias"] and model.last == 0
    assert model.predict(np.ones((2, 1), np.float32)).shape == (2,) and model.summary((1,)).parameters == 2


def test_modes_gradients_and_optimisers_reach_them():
    net = Net()
    net.eval()
    assert not any(module.training for _, module in net.named_modules())
    assert net.train().blocks[1][1].training
    with net.evaluating():
        assert not net.blocks[1][1].training and not net.heads[7][0]["deep"].training
    optim.SGD(net.parameters(), lr=0.1).step()
    net.heads[7][1].add_grad(np.ones(1))
    net.zero_grad()
    assert net.heads[7][1].grad is None


def test_an_attribute_of_a_sequential_is_found_beside_its_layers():
    class Own(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 2))
            self.extra = [nn.Linear(2, 1, bias=False)]
            self.scale = nn.Parameter([1.0])

    assert list(Own().state_dict()) == ["scale", "0.weight", "0.bias", "extra.0.weight"]


def test_files(tmp_path):
    net, other = Net(), Net()
    for suffix in (".npz", ".safetensors"):
        if suffix == ".safetensors":
            pytest.importorskip("safetensors")
        path = tmp_path / f"net{suffix}"
        fc.save(net, path)
        for array in other.state_dict().values():
            array.fill(9)
        other.load_state_dict(fc.load_weights(path))
        assert list(fc.load_weights(path)) == NAMES or set(fc.load_weights(path)) == set(NAMES)
        for name, array in other.state_dict().items():
            np.testing.assert_array_equal(array, net.state_dict()[name])


class Norm(nn.Module):
    """Batch normalisation, forward only."""

    def __init__(self, channels):
        self.channels = channels
        self.weight = nn.Parameter(np.ones(channels, np.float32))
        self.register_buffer("running_mean", np.zeros(channels, np.float32))
        self.register_buffer("count", np.array(0))

    def forward(self, x):
        if self.training:
            self.running_mean = self.running_mean + np.float32(0.1) * (x.mean(axis=(0, 2, 3)) - self.running_mean)
            self.count = self.count + 1
        return self.weight.data[:, None, None] * (x - self.running_mean[:, None, None])


X = np.random.default_rng(0).standard_normal((3, 4, 5, 5)).astype(np.float32) + 2


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_buffers_are_part_of_the_state(suffix, tmp_path):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    model = nn.Sequential(nn.Conv2d(4, 4, 1, rng=0), Norm(4))
    names = ["0.weight", "0.bias", "1.weight", "1.running_mean", "1.count"]
    assert list(model.state_dict()) == names
    assert [name for name, _ in model.named_buffers()] == names[3:]
    assert [array.shape for array in model.buffers()] == [(4,), ()]
    assert [name for name, _ in model.named_parameters()] == names[:3] and len(model.parameters()) == 3
    assert [row.parameters for row in model.summary((4, 5, 5)).rows] == [20, 4]
    model(X), model(X)
    assert model.state_dict()["1.count"] == 2 and model[1].running_mean.any()
    before = copy.deepcopy(model.state_dict())
    model.predict_proba(X.reshape(3, 4, 5, 5))
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for name, array in again.state_dict().items():
            np.testing.assert_array_equal(array, before[name])
        again[1].running_mean[...] = 7
    np.testing.assert_array_equal(model[1].running_mean, before["1.running_mean"])
    path = tmp_path / f"m{suffix}"
    fc.save(model, path)
    assert set(fc.load_weights(path)) == set(names)
    again = fc.load(path, classes=[Norm])
    np.testing.assert_array_equal(again(X), model.eval()(X))
    assert again[1].count == 2 and again[1].count.dtype == before["1.count"].dtype


def test_load_state_dict_is_strict_about_buffers_and_changes_all_or_nothing():
    layer = Norm(2)
    state = {"weight": [1, 2], "running_mean": np.array([3, 4.0]), "count": np.array(5, np.int32)}
    for change, message in [
        ({"running_mean": None}, "missing running_mean"),
        ({"more": np.zeros(1)}, "unknown more"),
        ({"running_mean": np.zeros(3)}, r"running_mean has shape \(3,\), must have \(2,\)"),
        ({"running_mean": np.zeros(2, complex)}, "running_mean has dtype complex128, not a real number"),
        ({"count": np.array(1.5)}, "count has values that int64 cannot hold"),
        ({"count": np.array(np.nan)}, "count has values that int64 cannot hold"),
    ]:
        given = {name: value for name, value in {**state, **change}.items() if value is not None}
        with pytest.raises(ValueError, match=f"state does not fit the model: {message}"):
            layer.load_state_dict(given)
        assert layer.weight.data.tolist() == [1, 1] and layer.running_mean.tolist() == [0, 0] and layer.count == 0
    held = layer.running_mean
    layer.load_state_dict(state)
    assert layer.weight.data.tolist() == [1, 2] and layer.running_mean.tolist() == [3, 4] and layer.count == 5
    assert layer.running_mean is held and held.dtype == np.float32 and layer.count.dtype == np.int64
    # A number, and an array that cannot be written.
    layer.count, layer.running_mean = layer.count + 1, np.broadcast_to(np.float32(2), 2)
    layer.load_state_dict(state)
    assert layer.running_mean.tolist() == [3, 4] and layer.count == 5


def test_load_state_dict_names_what_cannot_be_read():
    class Strange:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("call detach() first")

    with pytest.raises(TypeError,
                       match=r"state\[.weight.\] must be an array, got .*cannot be read as one: call detach\(\) first"):
        nn.Linear(1, 1).load_state_dict({"weight": Strange(), "bias": [0]})


def test_load_state_dict_into_an_array_that_must_not_be_written_into():
    layer = nn.Linear(2, 1)
    layer.bias.data = np.broadcast_to(np.float32(2), 1)
    before = layer.weight.data.copy()
    with pytest.raises(ValueError, match="state does not fit the model: bias is read-only in the model"):
        layer.load_state_dict({"weight": np.zeros((1, 2)), "bias": np.zeros(1)})
    np.testing.assert_array_equal(layer.weight.data, before)


def test_buffers_of_every_dtype(tmp_path):
    class Mask(nn.Module):
        def __init__(self):
            for index, dtype in enumerate(["?", "u1", "i4", "f2", "f4", ">f8"]):
                self.register_buffer(f"b{index}", np.ones((2, 3), dtype).T)

    mask, again = Mask(), Mask()
    for array in mask.buffers():
        assert array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative
        array[0, 1] = 0
    fc.save(mask, tmp_path / "m.npz")
    again.load_state_dict(fc.load_weights(tmp_path / "m.npz"))
    for array in again.buffers():
        np.testing.assert_array_equal(array, [[1, 0], [1, 1], [1, 1]])


@pytest.mark.parametrize("name, value, error, message", [
    ("mean", None, TypeError, "buffer 'mean' must be an array, got None"),
    ("mean", np.zeros(2, complex), TypeError, "got complex128"),
    ("mean", ["a"], TypeError, "got <U1"),
    ("mean", [[1], [1, 2]], ValueError, "buffer 'mean' must be an array, got a list of entries that differ in shape"),
    ("", np.zeros(1), ValueError, "name must be that of an attribute, without a dot, got ''"),
    ("a.b", np.zeros(1), ValueError, "without a dot, got 'a.b'"),
    (3, np.zeros(1), ValueError, "without a dot, got 3"),
    ("weight", np.zeros(1), ValueError, "must be that of a new attribute, Linear has 'weight' already"),
    ("forward", np.zeros(1), ValueError, "Linear has 'forward' already"),
])  # fmt: skip
def test_what_is_no_buffer(name, value, error, message):
    layer = nn.Linear(2, 2)
    with pytest.raises(error, match=message):
        layer.register_buffer(name, value)
    assert layer.buffers() == [] and list(layer.state_dict()) == ["weight", "bias"]


def test_a_buffer_that_is_no_array_any_more():
    layer = Norm(2)
    layer.register_buffer("count", np.array(3))  # once more is another array
    assert layer.count == 3 and len(layer.buffers()) == 2
    state, layer.running_mean = layer.state_dict(), None
    for use in (layer.state_dict, layer.buffers, lambda: fc.save(layer, "m.npz"), lambda: layer.load_state_dict(state)):
        with pytest.raises(TypeError,
                           match="buffer 'running_mean' of Norm must stay an array of real numbers, it is None"):
            use()


def test_a_checkpoint_keeps_buffers(tmp_path):
    class Centre(nn.Module):
        def __init__(self):
            self.register_buffer("mean", np.zeros(3, np.float32))

        def forward(self, x):
            if self.training:
                self.mean += 0.1 * (x.mean(axis=0) - self.mean)
            return x - self.mean

        def backward(self, grad_output, needs_input_grad=True):
            return grad_output

    def run(epochs, **options):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, rng=0), Centre())
        trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss())
        images = np.random.default_rng(0).random((12, 1, 2, 2)).astype(np.float32)
        trainer.fit((images, np.arange(12) % 3), epochs, 4, progress=False, **options)
        return model[2].mean

    expected = run(4)
    run(2, checkpoint=tmp_path / "c.npz")
    np.testing.assert_array_equal(run(4, checkpoint=tmp_path / "c.npz", resume=True), expected)


class Tied(nn.Module):
    """One layer under two names, and one weight in two layers."""

    def __init__(self):
        self.first, self.second = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
        self.second.weight = self.first.weight
        self.all = [self.first, self.second]


def test_one_array_under_several_names():
    tied = Tied()
    names = ["first.weight", "first.bias", "second.weight", "second.bias",
             "all.0.weight", "all.0.bias", "all.1.weight", "all.1.bias"]  # fmt: skip
    assert list(tied.state_dict()) == names
    assert [name for name, _ in tied.named_parameters()] == ["first.weight", "first.bias", "second.bias"]
    assert [name for name, _ in tied.named_modules()] == ["", "first", "second"]
    optim.SGD(tied.parameters(), lr=0.1)
    state = {name: np.full_like(array, index % 2) for index, (name, array) in enumerate(tied.state_dict().items())}
    tied.load_state_dict(state)
    assert tied.first.weight.data.tolist() == [[0, 0], [0, 0]] and tied.second.bias.data.tolist() == [1, 1]
    tied.load_state_dict({"second.weight": np.full((2, 2), 5), "all.0.bias": [6, 6], "second.bias": [7, 7]})
    assert tied.first.weight.data[0, 0] == 5 and tied.first.bias.data[0] == 6 and tied.second.bias.data[0] == 7
    with pytest.raises(ValueError, match="second.weight and first.weight are one array in the model, but differ"):
        tied.load_state_dict({**state, "second.weight": np.full((2, 2), 3)})
    with pytest.raises(ValueError, match="state does not fit the model: missing first.bias; missing second.bias"):
        tied.load_state_dict({"all.1.weight": np.zeros((2, 2))})
    assert list(nn.Sequential(Tied(), nn.ReLU()).state_dict()) == [f"0.{name}" for name in names]


def test_two_parts_with_one_name():
    net = nn.Module()
    net.parts = {1: nn.Linear(1, 1), "1": nn.Linear(1, 1)}
    assert len(net.parameters()) == 4
    for use in (net.state_dict, lambda: net.load_state_dict({})):
        with pytest.raises(ValueError,
                           match="two parameters, buffers or modules of the model have the name parts.1.weight"):
            use()


def test_the_state_of_pytorchs_batch_norm():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.BatchNorm2d(4, affine=True)
    theirs(torch.from_numpy(X))

    class BatchNorm(nn.Module):
        def __init__(self):
            self.weight, self.bias = nn.Parameter(np.ones(4, np.float32)), nn.Parameter(np.zeros(4, np.float32))
            self.register_buffer("running_mean", np.zeros(4, np.float32))
            self.register_buffer("running_var", np.ones(4, np.float32))
            self.register_buffer("num_batches_tracked", np.array(0))

    ours = BatchNorm()
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.running_var, theirs.running_var.numpy())
    assert list(ours.state_dict()) == list(theirs.state_dict()) and ours.num_batches_tracked == 1
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
