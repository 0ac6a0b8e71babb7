"""Every argument of every public function, given values that no one should give: each is taken, or refused by its name.

Whether a value is good is the business of the other tests. Here it counts that nothing but a TypeError, ValueError or
MemoryError ever comes out, in one line that names the argument, and that a refused call has written nothing.
"""

import inspect

import numpy as np
import pytest
from hostile import VALUES, is_refused_well

import fastconv as fc
from fastconv import functional

F32 = np.float32


def ones(*shape):
    return np.ones(shape, F32)


X, W, Y, SCORES = ones(2, 3, 8, 8), ones(4, 3, 3, 3), ones(2, 4, 6, 6), ones(4, 3)
SIGNAL, VOLUME, CUBE = ones(2, 3, 8), ones(2, 3, 4, 5, 6), ones(4, 3, 3, 3, 3)
ITEMS = {1: SIGNAL, 2: X, 3: ones(2, 3, 4, 4, 4)}
LABELS = np.array([0, 1, 2, 1])

# Pointwise functions whose gradients take x, and losses of numbers.
OF_X = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "hardswish", "hardsigmoid", "softplus")
PAIR_LOSSES = ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits")


def poolings(axes, x):
    """Good calls of the poolings of items with so many axes."""
    y, indices = getattr(fc, f"max_pool{axes}d")(x, 2, return_indices=True)
    one, place = getattr(fc, f"global_max_pool{axes}d")(x, return_indices=True)
    window, sized, found = dict(input_shape=x.shape, kernel_size=2), dict(input_shape=x.shape), dict(indices=indices)
    few = dict(input_shape=x.shape, output_size=y.shape[-1])
    of = {
        "max_pool": dict(x=x, kernel_size=2), "avg_pool": dict(x=x, kernel_size=2),
        "max_pool_backward": dict(grad_output=y, **found, **window),
        "avg_pool_backward": dict(grad_output=y, **window),
        "adaptive_max_pool": dict(x=x, output_size=y.shape[-1]),
        "adaptive_avg_pool": dict(x=x, output_size=y.shape[-1]),
        "adaptive_max_pool_backward": dict(grad_output=y, **found, **few),
        "adaptive_avg_pool_backward": dict(grad_output=y, **few),
        "global_max_pool": dict(x=x), "global_avg_pool": dict(x=x),
        "global_max_pool_backward": dict(grad_output=one, indices=place, **sized),
        "global_avg_pool_backward": dict(grad_output=one, **sized),
        "max_unpool": dict(x=y, **found, kernel_size=2), "max_unpool_backward": dict(grad_output=x, **found),
        "lp_pool": dict(x=x, norm_type=2, kernel_size=2),
        "lp_pool_backward": dict(grad_output=y, x=x, y=y, norm_type=2, kernel_size=2),
    }
    return {name.replace("pool", f"pool{axes}d"): call for name, call in of.items()}


# A good call of each function: the arguments that have no default. The others are tried beside them.
GOOD = {
    "conv1d": dict(x=SIGNAL, weight=W[..., 0]), "plan_conv1d": dict(x_shape=SIGNAL.shape, weight=W[..., 0]),
    "conv1d_backward": dict(grad_output=ones(2, 4, 6), x=SIGNAL, weight=W[..., 0]),
    "conv3d": dict(x=VOLUME, weight=CUBE), "plan_conv3d": dict(x_shape=VOLUME.shape, weight=CUBE),
    "conv3d_backward": dict(grad_output=ones(2, 4, 2, 3, 4), x=VOLUME, weight=CUBE),
    "conv2d": dict(x=X, weight=W), "conv2d_backward": dict(grad_output=Y, x=X, weight=W),
    "conv_transpose1d": dict(x=Y[..., 0], weight=W[..., 0]),
    "conv_transpose1d_backward": dict(grad_output=X[..., 0], x=Y[..., 0], weight=W[..., 0]),
    "conv_transpose3d": dict(x=VOLUME, weight=CUBE[:3]),
    "conv_transpose3d_backward": dict(grad_output=fc.conv_transpose3d(VOLUME, CUBE[:3]), x=VOLUME, weight=CUBE[:3]),
    "plan_conv_transpose3d": dict(x_shape=VOLUME.shape, weight=CUBE[:3]),
    "plan_conv_transpose1d": dict(x_shape=Y[..., 0].shape, weight=W[..., 0]),
    "conv_transpose2d": dict(x=Y, weight=W), "conv_transpose2d_backward": dict(grad_output=X, x=Y, weight=W),
    "plan_conv_transpose2d": dict(x_shape=Y.shape, weight=W),
    "plan_conv2d": dict(x_shape=X.shape, weight=W), "explain": dict(x_shape=X.shape, weight_shape=W.shape),
    "conv_output_size": dict(size=8, kernel_size=3),
    **{name: call for axes, item in ITEMS.items() for name, call in poolings(axes, item).items()},
    "linear": dict(x=SCORES, weight=ones(5, 3)),
    "linear_backward": dict(grad_output=ones(4, 5), x=SCORES, weight=ones(5, 3)), "flatten": dict(x=X),
    "flatten_backward": dict(grad_output=ones(2, 192), input_shape=X.shape),
    "nll_loss": dict(log_probs=SCORES, target=LABELS), "nll_loss_backward": dict(log_probs=SCORES, target=LABELS),
    "cross_entropy": dict(logits=SCORES, target=LABELS), "cross_entropy_backward": dict(logits=SCORES, target=LABELS),
    **{name: dict(x=SCORES) for name in (*OF_X, "sigmoid", "tanh", "softmax", "log_softmax")},
    **{f"{name}_backward": dict(grad_output=SCORES, x=SCORES) for name in OF_X},
    "prelu": dict(x=SCORES, weight=ones(3)), "prelu_backward": dict(grad_output=SCORES, x=SCORES, weight=ones(3)),
    **{name: dict(x=SCORES, target=SCORES) for loss in PAIR_LOSSES for name in (loss, f"{loss}_backward")},
    "add": dict(x=X, other=X), "interpolate": dict(x=X, size=16),
    "interpolate_backward": dict(grad_output=ones(2, 3, 16, 16), input_shape=X.shape, size=16),
    "batch_norm": dict(x=X, running_mean=ones(3), running_var=np.zeros(3, F32)),
    "batch_norm_backward": dict(grad_output=X, x=X, running_mean=ones(3), running_var=ones(3)),
    "group_norm": dict(x=X, num_groups=3), "group_norm_backward": dict(grad_output=X, x=X, num_groups=3),
    "layer_norm": dict(x=X, normalized_shape=8),
    "layer_norm_backward": dict(grad_output=X, x=X, normalized_shape=8),
    **{f"{name}_backward": dict(grad_output=SCORES, y=SCORES)
       for name in ("sigmoid", "tanh", "softmax", "log_softmax")},
}

CASES = [(name, argument) for name in functional.__all__
         for argument in inspect.signature(getattr(fc, name)).parameters]

def test_each_function_has_a_good_call():
    assert set(GOOD) == set(functional.__all__)
    for name, arguments in GOOD.items():
        getattr(fc, name)(**arguments)


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{name}-{argument}" for name, argument in CASES])
def test_hostile_values(name, argument):
    function, good = getattr(fc, name), GOOD[name]
    written = {key: value.copy() for key, value in good.items() if isinstance(value, np.ndarray)}
    refused = sum(is_refused_well(lambda: function(**{**good, argument: value}), argument) for value in VALUES.values())
    assert refused > len(VALUES) / 3
    for key, before in written.items():
        np.testing.assert_array_equal(good[key], before)


@pytest.mark.parametrize("argument", [name for name in inspect.signature(fc.conv2d).parameters if name != "out"])
def test_nothing_is_written_into_out(argument):
    for value in VALUES.values():
        out = np.full(Y.shape, 7, F32)
        if is_refused_well(lambda: fc.conv2d(**{**GOOD["conv2d"], "out": out, argument: value}), f"{argument}|out"):
            assert (out == 7).all()


@pytest.mark.parametrize("argument", ["x", "out"])
def test_hostile_values_of_a_plan(argument):
    plan = fc.plan_conv2d(X.shape, W)
    for value in VALUES.values():
        is_refused_well(lambda: plan(**{"x": X, argument: value}), argument)
    np.testing.assert_array_equal(plan(X), fc.conv2d(X, W))
