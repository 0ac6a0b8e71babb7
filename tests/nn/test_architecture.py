"""Classes of one's own in files: what they say of themselves, what is refused, and that nothing but them is made."""

import json

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn
from fastconv.nn.serialization import write_npz

X = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)


@pytest.fixture(params=[".npz", ".safetensors"])
def path(request, tmp_path):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"model{request.param}"


class Block(nn.Module):
    """y = x + slope * f(x), with a mean that is kept; arguments of every kind."""

    def __init__(self, channels, inner=None, *, slope=1.0, sizes=(1, 2), names=("a",), table=None,
                 dtype=np.float32, rng=None, bias=True):
        self.channels, self.slope, self.sizes = channels, slope, sizes
        self.names, self.table, self.dtype = names, table, dtype
        self.inner = inner
        self.convs = [nn.Conv2d(channels, channels, 3, padding=1, bias=bias, rng=rng, dtype=dtype)]
        self.bias = bias
        self.register_buffer("mean", np.zeros(channels, np.float32))

    def forward(self, x):
        y = self.convs[0](x) - self.mean[:, None, None]
        return x + self.slope * (y if self.inner is None else self.inner(y))


class Two(nn.Module):
    def __init__(self, first, others):
        self.first, self.others = first, others

    def forward(self, x):
        for module in [self.first, *self.others]:
            x = module(x)
        return x


def same(model, again, x=X):
    assert repr(again) == repr(model) and not again.training
    for (name, a), (other, b) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.eval()(x), again(x))


def test_a_model_with_own_classes_comes_back(path):
    block = Block(4, Block(4, nn.Sequential(nn.Tanh(), nn.Conv2d(4, 4, 1))), slope=np.float64(0.5),
                  sizes=[3, (4, 5)], names=[], table={"class": "No", "deep": {"layer": [None, (1,)]}},
                  rng=1, bias=False)
    block.mean[...] = 3
    model = nn.Sequential(Two(block, [nn.ReLU(), Two(Block(4), (nn.Tanh(),))]), nn.Flatten())
    fc.save(model, path)
    again = fc.load(path, classes=[Block, Two, Block])
    assert again[0].first.sizes == [3, (4, 5)] and again[0].first.names == [] and again[0].first.slope == 0.5
    assert again[0].first.table == {"class": "No", "deep": {"layer": [None, (1,)]}}
    assert again[0].first.bias is False and again[0].first.dtype == "float32"
    assert isinstance(again[0].others, list) and isinstance(again[0].others[1].others, tuple)
    for one in (model[0].first, model[0].first.inner, model[0].others[1].first):
        one.dtype, one.slope = "float32", float(one.slope)  # a file has the name, and Python's numbers
    same(model, again)


class Chain(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Named(nn.Sequential):
    def __init__(self, channels):
        self.channels = channels
        super().__init__(nn.Conv2d(channels, channels, 1), nn.ReLU())


class Blocks(nn.ModuleList):
    pass


class Heads(nn.Module):
    def __init__(self, blocks, heads):
        self.blocks, self.heads = blocks, heads

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x)


class Wide(nn.Linear):
    """A layer of fastconv's with something more."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_subclasses_of_fastconvs_own_and_containers(path):
    model = nn.Sequential(
        Chain(nn.Conv2d(4, 4, 1), nn.ReLU()), Chain({"x": Named(4)}),
        Heads(nn.ModuleList([nn.Tanh(), Chain(nn.ReLU())]), nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(2, 2)})),
        Heads(Blocks([nn.Tanh(), Named(4)]), {"a": nn.Flatten()}), Wide(144, 3, bias=False, rng=0),
    )  # fmt: skip
    fc.save(model, path)
    again = fc.load(path, classes=(Chain, Named, Heads, Blocks, Wide))
    same(model, again)
    assert [type(layer) for layer in again] == [type(layer) for layer in model]
    assert type(again[3].blocks) is Blocks and type(again[2].heads) is nn.ModuleDict


def test_a_class_that_defines_settings(path):
    class Mask(nn.Module):
        def __init__(self, mask):
            self.register_buffer("mask", np.array(mask, np.float32))

        def settings(self):
            return {"mask": self.mask.tolist()}

        def forward(self, x):
            return x * self.mask

    model = Mask(np.arange(6, dtype=np.float32))
    fc.save(model, path)
    again = fc.load(path, classes=[Mask])
    np.testing.assert_array_equal(again(X), model(X))

    Mask.settings = lambda self: {}
    with pytest.raises(TypeError, match=r"Mask cannot be made of what its settings\(\) returns, \[\]: .*'mask'"):
        fc.save(model, path)
    Mask.settings = lambda self: {"mask": 1, "more": 2}
    with pytest.raises(TypeError, match=r"Mask cannot be made of .*\['mask', 'more'\]"):
        fc.save(model, path)


def test_missing_classes_are_named_with_what_to_write(path):
    model = nn.Sequential(Two(nn.ReLU(), [Chain(nn.ReLU())]), Two(nn.ReLU(), []))
    fc.save(model, path)
    with pytest.raises(ValueError) as caught:
        fc.load(path)
    assert (f"{path} has modules of the classes Two, Chain: write fc.load({str(path)!r}, classes=[Two, Chain])"
            in str(caught.value))
    assert "model.load_state_dict(fastconv.load_weights(path))" in str(caught.value)
    with pytest.raises(ValueError, match=r"modules of the class Chain: write fc.load\(.*, classes=\[Chain\]\)"):
        fc.load(path, classes=[Two])


@pytest.mark.parametrize("classes, error, message", [
    (Block, TypeError, r"classes must be a list of classes, such as \[Block\], got <class"),
    (None, TypeError, "classes must be a list of classes"),
    ([Block(4)], TypeError, "classes must be subclasses of nn.Module, such as"),
    ([int], TypeError, "classes must be subclasses of nn.Module, such as .*, got <class 'int'>"),
    (["Block"], TypeError, "classes must be subclasses of nn.Module"),
    ([Block, type("Block", (nn.Module,), {})], ValueError, "classes must have different names, got two named Block"),
])  # fmt: skip
def test_what_are_no_classes(path, classes, error, message):
    fc.save(nn.ReLU(), path)
    with pytest.raises(error, match=message):
        fc.load(path, classes=classes)


class Forgets(nn.Module):
    def __init__(self, size, slope=0.1):
        self.size = size


class Keeps(nn.Module):
    def __init__(self, value):
        self.value = value


class Star(nn.Module):
    def __init__(self, *values, **options):
        self.values, self.options = values, options


ALONE = r"fc.save\(model, path, architecture=False\)"


@pytest.mark.parametrize("model, message", [
    (Forgets(1),
     rf"Forgets has not kept its argument slope.*write self.slope = slope in its __init__.*settings\(self\).*{ALONE}"),
    (Star(1), rf"Star cannot be made anew by load from its argument \*values: name the arguments.*{ALONE}"),
    (Keeps(np.zeros(3)),
     rf"argument value of Keeps is of type ndarray: a file keeps numbers.*register_buffer.*{ALONE}"),
    (Keeps(nn.Parameter([1.0])), "argument value of Keeps is of type Parameter"),
    (Keeps(lambda x: x), "argument value of Keeps is of type function"),
    (Keeps(np.random.default_rng(0)), "argument value of Keeps is of type Generator"),
    (Keeps([{"a": (1, {2})}]), "argument value of Keeps is of type set"),
    (Keeps({1: 2}), "argument value of Keeps is of type dict"),
    (Keeps(1j), "argument value of Keeps is of type complex"),
    (Keeps(nn.Sequential(Keeps(b"x"))), "argument value of Keeps is of type bytes"),
], ids=lambda value: "")  # fmt: skip
def test_what_cannot_be_made_anew_is_refused_when_it_is_saved(path, model, message):
    fc.save(nn.ReLU(), path)
    model.weight = nn.Parameter([1.0])
    for whole in (model, nn.Sequential(nn.ReLU(), model), Two(nn.ReLU(), [model])):
        with pytest.raises(TypeError, match=message):
            fc.save(whole, path)
        assert repr(fc.load(path)) == "ReLU()"
    fc.save(model, path, architecture=False)
    assert "weight" in fc.load_weights(path)
    with pytest.raises(ValueError, match="holds weights only"):
        fc.load(path, classes=[Forgets, Keeps, Star])


def test_two_classes_of_one_name(path):
    other = type("Keeps", (nn.Module,), {})
    with pytest.raises(TypeError, match="two classes of the model have the name Keeps"):
        fc.save(nn.Sequential(Keeps(1), other()), path)


def test_a_class_with_the_name_of_a_layer(path):
    class Linear(nn.Linear):
        def forward(self, x):
            return -super().forward(x)

    model = nn.Sequential(Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1))
    fc.save(model, path)
    with pytest.raises(ValueError, match="has modules of the class Linear"):
        fc.load(path)
    again = fc.load(path, classes=[Linear])
    assert type(again[0]) is Linear and type(again[1]) is nn.Linear
    np.testing.assert_array_equal(again(X[0, 0, :, :2]), model(X[0, 0, :, :2]))


class Fails(nn.Module):
    def __init__(self, value):
        self.value = 1 / value


@pytest.mark.parametrize("architecture, message", [
    ({"class": "Keeps"}, "Keeps must have settings"),
    ({"class": "Keeps", "settings": [1]}, "Keeps must have settings"),
    ({"class": "Keeps", "settings": {}}, r"Keeps does not take the arguments \[\]: missing"),
    ({"class": "Keeps", "settings": {"value": 1, "self": 2}}, "Keeps does not take the arguments"),
    ({"class": "Keeps", "settings": {"__class__": 1}}, "Keeps does not take the arguments"),
    ({"class": "Keeps", "settings": {"value": {"tuple": 1}}}, "an argument must be a number"),
    ({"class": "Keeps", "settings": {"value": {"dict": []}}}, "an argument must be a number"),
    ({"class": "Keeps", "settings": {"value": {"pickle": "x"}}}, "an argument must be a number"),
    ({"class": "Keeps", "settings": {"value": {"layer": "os.system"}}}, "unknown layer 'os.system'"),
    ({"class": "Keeps", "layers": {}}, "Keeps must have layers"),
    ({"class": "Chain", "layers": [1]}, "Chain must have layers"),
    ({"class": "Chain", "layers": {"0": 1}}, "a layer must be an object"),
    ({"class": "Chain", "layers": {"a.b": {"layer": "ReLU"}}}, "layers must have names without a dot"),
    ({"class": "Fails", "settings": {"value": 0}}, "Fails cannot be made of its arguments: ZeroDivisionError"),
    ({"class": "os.system", "settings": {"command": "true"}}, "unknown class 'os.system'"),
    ({"class": ["Keeps"]}, "unknown class"),
    ({"class": None}, "unknown layer None"),
    ({"layer": "ModuleList", "layers": 3}, "ModuleList must have layers"),
    ({"layer": "ModuleDict"}, "ModuleDict must have layers"),
    ({"layer": "Module"}, "unknown layer 'Module'"),
    ({"class": "Block", "settings": {"channels": 2}}, "state does not fit the model: missing convs.0.bias"),
])  # fmt: skip
def test_descriptions_that_are_none(tmp_path, architecture, message):
    path = tmp_path / "m.npz"
    write_npz(path, {}, json.dumps({"format": 1, "architecture": architecture}))
    with pytest.raises(ValueError, match=f"m.npz does not describe a model: .*{message}"):
        fc.load(path, classes=[Keeps, Chain, Fails, Block])


def test_a_description_without_end(tmp_path):
    path = tmp_path / "m.npz"
    for depth in (100, 2000, 100_000):
        deep = '{"class": "Keeps", "settings": {"value": ' * depth + '{"layer": "ReLU"}' + "}}" * depth
        write_npz(path, {}, f'{{"format": 1, "architecture": {deep}}}')
        if depth > 100:
            with pytest.raises(ValueError, match="m.npz "):
                fc.load(path)
            with pytest.raises(ValueError, match="m.npz "):
                fc.load(path, classes=[Keeps])
        else:
            assert isinstance(fc.load(path, classes=[Keeps]).value, Keeps)


def test_damaged_files_with_own_classes(path):
    fc.save(nn.Sequential(Two(Block(4), [nn.ReLU()])), path)
    content = path.read_bytes()
    for start in range(0, len(content), max(len(content) // 60, 1)):
        path.write_bytes(content[:start] + bytes(byte ^ 0x5A for byte in content[start : start + 4])
                         + content[start + 4 :])
        try:
            fc.load(path, classes=[Two, Block])
        except ValueError as error:
            assert str(path) in str(error)
