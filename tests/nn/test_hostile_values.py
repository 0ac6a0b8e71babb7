"""Every argument of every layer and initialiser, given values that no one should give:
taken, or refused by its name."""

import inspect

import numpy as np
import pytest
from hostile import VALUES, is_refused_well

import fastconv as fc
from fastconv import nn

# A good call of each class, and of each function of `nn.init`: the arguments that have no default.
GOOD = {
    nn.Conv2d: dict(in_channels=2, out_channels=2, kernel_size=3), nn.Linear: dict(in_features=2, out_features=2),
    **{getattr(nn, f"{kind}{axes}d"): good for axes in (1, 2, 3) for kind, good in (
        ("MaxPool", dict(kernel_size=2)), ("AvgPool", dict(kernel_size=2)), ("AdaptiveMaxPool", dict(output_size=2)),
        ("AdaptiveAvgPool", dict(output_size=2)), ("GlobalMaxPool", {}), ("GlobalAvgPool", {}),
        ("LPPool", dict(norm_type=2, kernel_size=2)))},
    nn.Upsample: dict(size=2), nn.Flatten: {}, nn.Concat: dict(branches=[nn.ReLU()]),
    nn.Residual: dict(body=nn.ReLU()),
    nn.BatchNorm1d: dict(num_features=2), nn.BatchNorm2d: dict(num_features=2), nn.BatchNorm3d: dict(num_features=2),
    nn.GroupNorm: dict(num_groups=1, num_channels=2), nn.LayerNorm: dict(normalized_shape=2),
    **{getattr(nn, f"ConvTranspose{axes}d"): dict(in_channels=2, out_channels=2, kernel_size=3) for axes in (1, 2, 3)},
    **{layer: {} for layer in (nn.Dropout, nn.LeakyReLU,
                               nn.Softmax, nn.LogSoftmax, nn.CrossEntropyLoss, nn.init.generator)},
    **{getattr(nn.init, name): dict(shape=(4, 3))
       for name in nn.init.__all__ if name not in ("generator", "initialiser", "seed")},
}
CALLABLE = ("a class", "a function", "a layer")  # whose call is the user's affair, as an initialiser
CASES = [(made, argument) for made in GOOD for argument in inspect.signature(made).parameters if argument != "name"]


@pytest.mark.parametrize(("made", "argument"), CASES, ids=[f"{made.__name__}-{argument}" for made, argument in CASES])
def test_hostile_settings(made, argument):
    refused = sum(is_refused_well(lambda: made(**{**GOOD[made], argument: value}), argument)
                  for key, value in VALUES.items() if not (argument == "init" and key in CALLABLE))
    # Zeros and constants draw nothing.
    assert refused > len(VALUES) / 3 or (argument == "rng" and made in (nn.init.zeros, nn.init.constant))


@pytest.mark.parametrize("model", [nn.Linear(5, 2), nn.Sequential(nn.Flatten(), nn.Linear(5, 2), nn.LogSoftmax())])
def test_hostile_images_and_weights(model):
    before = {name: value.copy() for name, value in model.state_dict().items()}
    for value in VALUES.values():
        is_refused_well(lambda: model.predict(value), "x")
        is_refused_well(lambda: model.predict(np.ones((2, 5), np.float32), value), "batch_size")
        is_refused_well(lambda: model.load_state_dict(value), "state")
        is_refused_well(lambda: model.load_state_dict({**before, next(iter(before)): value}), "state")
        is_refused_well(lambda: nn.Sequential(value), "layers")
    assert all((model.state_dict()[name] == value).all() for name, value in before.items())


def test_hostile_labels():
    for loss in (nn.NLLLoss(), nn.CrossEntropyLoss()):
        for value in VALUES.values():
            is_refused_well(lambda: loss(np.log([[0.5, 0.5]]), value), "target")
            with pytest.raises(RuntimeError, match="needs a call before it"):
                type(loss)().backward()


def test_hostile_settings_of_the_package():
    for value in VALUES.values():
        if not isinstance(value, str):
            is_refused_well(lambda: fc.show_config(value), "mode")
