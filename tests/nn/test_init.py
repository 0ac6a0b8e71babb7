"""Initialisers: their distributions, seeds and names."""

import functools
import math

import numpy as np
import pytest

from fastconv import nn
from fastconv.nn import init

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9


@pytest.mark.parametrize("name, variance", [
    ("uniform", 0.1**2 / 12),
    ("normal", 0.05**2),
    ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)),
    ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
    ("he_uniform", 2 / FAN_IN),
    ("he_normal", 2 / FAN_IN),
    ("lecun_uniform", 1 / FAN_IN),
    ("lecun_normal", 1 / FAN_IN),
    ("xavier_uniform", 2 / (FAN_IN + FAN_OUT)),
    ("xavier_normal", 2 / (FAN_IN + FAN_OUT)),
    ("kaiming_uniform", 2 / FAN_IN),
    ("kaiming_normal", 2 / FAN_IN),
    ("orthogonal", 1 / FAN_IN),
])  # fmt: skip
def test_mean_variance_and_range(name, variance):
    weight = init.initialiser(name)(SHAPE, rng=0)
    assert weight.shape == SHAPE and weight.dtype == np.float32
    assert abs(weight.mean()) < 4 * math.sqrt(variance / weight.size)
    assert weight.var() == pytest.approx(variance, rel=0.05)
    if "uniform" in name:
        bound = math.sqrt(3 * variance)
        assert 0.99 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)
    else:
        assert name == "orthogonal" or np.abs(weight).max() > 3 * math.sqrt(variance)


def test_orthogonal_rows_or_columns():
    wide = init.orthogonal((4, 3, 3, 3), rng=0, dtype=np.float64).reshape(4, 27)
    np.testing.assert_allclose(wide @ wide.T, np.eye(4), atol=1e-12)
    tall = init.orthogonal((27, 4), gain=2.0, rng=0, dtype=np.float64)
    np.testing.assert_allclose(tall.T @ tall, 4 * np.eye(4), atol=1e-12)


def test_zeros_and_constant():
    np.testing.assert_array_equal(init.zeros((2, 3)), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(init.constant((2,), value=0.5, dtype=np.float64), [0.5, 0.5])


def test_one_seed_repeats_all_weights():
    models = []
    for _ in range(2):
        nn.init.seed(3)
        models.append(nn.models.lenet5())
    for first, second in zip(models[0].parameters(), models[1].parameters()):
        np.testing.assert_array_equal(first.data, second.data)
    assert not np.array_equal(models[0].state_dict()["0.weight"], nn.models.lenet5().state_dict()["0.weight"])


def test_rng_is_a_seed_or_a_generator():
    np.testing.assert_array_equal(nn.Linear(3, 2, rng=1).weight.data, nn.Linear(3, 2, rng=1).weight.data)
    rng = np.random.default_rng(1)
    first, second = nn.Linear(3, 2, rng=rng), nn.Linear(3, 2, rng=rng)
    np.testing.assert_array_equal(first.weight.data, nn.Linear(3, 2, rng=1).weight.data)
    assert not np.array_equal(first.weight.data, second.weight.data)


def test_layers_take_names_and_functions():
    assert np.abs(nn.Linear(300, 3, init=functools.partial(init.normal, std=1e-3), rng=0).weight.data).max() < 1e-2
    np.testing.assert_array_equal(nn.Conv2d(1, 2, 3, init="constant").weight.data, np.ones((2, 1, 3, 3), np.float32))
    he = nn.Conv2d(32, 64, 3, rng=0)
    assert he.weight.data.var() == pytest.approx(2 / FAN_IN, rel=0.05)
    np.testing.assert_array_equal(he.bias.data, np.zeros(64))


def test_dtype_does_not_change_the_draw():
    np.testing.assert_array_equal(nn.Linear(3, 2, rng=1, dtype="float64").weight.data.astype(np.float32),
                                  nn.Linear(3, 2, rng=1).weight.data)


@pytest.mark.parametrize("call, error, message", [
    (lambda: init.seed(-1), ValueError, "seed must be at least 0"),
    (lambda: init.seed("0"), TypeError, "seed must be an integer"),
    (lambda: init.generator("0"), TypeError, "rng must be an integer"),
    (lambda: init.he_normal((3,)), ValueError, r"shape must have at least 2 sizes .* got \(3,\)"),
    (lambda: init.initialiser("xavier"), ValueError, "init must be one of .*'xavier_uniform'.*got 'xavier'"),
    (lambda: init.initialiser(None), ValueError, "init must be one of"),
])  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
