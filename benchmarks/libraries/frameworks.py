"""Libraries that take the weights in each call; fastconv can also prepare them, in `plan_conv2d`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.layers import ConvLayer, PoolLayer, TransposedLayer
from benchmarks.libraries.base import DTYPES, LAYOUTS, Array, Call, Calls, ConvArrays, Library, Setting
from benchmarks.networks import Conv, Linear, Network
from benchmarks.small import SmallCall
from benchmarks.timing import fastest

LEARNING_RATE, MOMENTUM = 0.01, 0.9


def _modules(nn: Any, network: Network, dtype: Any) -> list[Any]:
    """The layers of a network, of fastconv.nn or torch.nn, which call them the same."""
    made: dict[str, Callable[[], Any]] = {"relu": nn.ReLU, "pool": lambda: nn.MaxPool2d(2), "flatten": nn.Flatten}
    modules = []
    for layer, width in network.parts():
        if isinstance(layer, Conv):
            modules.append(nn.Conv2d(width, layer.filters, layer.size, padding=layer.padding, dtype=dtype))
        elif isinstance(layer, Linear):
            modules.append(nn.Linear(width, layer.features, dtype=dtype))
        else:
            modules.append(made[layer]())
    return modules


class FastConv(Library):
    """Timed: the public functions, from arrays to a new array."""

    title = "fastconv"
    package = module = "fastconv"
    layouts, dtypes = LAYOUTS, DTYPES

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import fastconv

        self.fc = fastconv
        fastconv.set_num_threads(setting.threads)

    def version(self) -> str:
        config = self.fc.show_config("dicts")
        return f"{config['version']} ({config['isa']['in_use']}, {config['compiler']})"

    def _options(self, layer: ConvLayer | PoolLayer) -> dict[str, Any]:
        return {"stride": layer.stride, "padding": layer.padding, "data_format": self.layout.upper()}

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        fc = self.fc
        x, weight, bias, grad = arrays
        options = {**self._options(layer), "groups": layer.groups}
        plan = fc.plan_conv2d(x.shape, weight, bias, **options)
        return {
            "forward": lambda: fc.conv2d(x, weight, bias, **options),
            "planned": lambda: plan(x),
            "grad_x": lambda: fc.conv2d_backward(grad, x, weight, needs=(True, False, False), **options),
            "grad_weight": lambda: fc.conv2d_backward(grad, x, weight, needs=(False, True, True), **options),
        }

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        fc = self.fc
        x, weight, bias, grad = arrays
        options = {"stride": layer.stride, "padding": layer.padding, "output_padding": layer.output_padding,
                   "data_format": self.layout.upper()}
        plan, backward = fc.plan_conv_transpose2d(x.shape, weight, bias, **options), fc.conv_transpose2d_backward
        return {
            "conv_transpose": lambda: fc.conv_transpose2d(x, weight, bias, **options),
            "conv_transpose_planned": lambda: plan(x),
            "conv_transpose_grad_x": lambda: backward(grad, x, weight, needs=(True, False, False), **options),
            "conv_transpose_grad_weight": lambda: backward(grad, x, weight, needs=(False, True, True), **options),
        }

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        fc = self.fc
        options, kernel = self._options(layer), layer.kernel
        _, indices = fc.max_pool2d(x, kernel, return_indices=True, **options)
        return {
            "max_pool": lambda: fc.max_pool2d(x, kernel, return_indices=True, **options),
            "max_pool_backward": lambda: fc.max_pool2d_backward(grad, indices, x.shape, kernel, **options),
            "avg_pool": lambda: fc.avg_pool2d(x, kernel, **options),
            "avg_pool_backward": lambda: fc.avg_pool2d_backward(grad, x.shape, kernel, **options),
        }

    def network(self, network: Network, images: Array, target: Array) -> Calls:
        from fastconv import nn, optim

        model = nn.Sequential(*_modules(nn, network, self.dtype), nn.LogSoftmax())
        optimizer, loss = optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM), nn.NLLLoss()

        def step() -> None:
            model.train()
            optimizer.zero_grad()
            loss(model(images), target)
            model.backward(loss.backward(), needs_input_grad=False)
            optimizer.step()

        def predict() -> Array:
            model.eval()
            return model(images)

        return {"training_step": step, "prediction": predict}

    def small(self, call: SmallCall, arrays: list[Array]) -> Call | None:
        if call.function == "plan_conv2d":
            x, *fixed = arrays
            plan = self.fc.plan_conv2d(x.shape, *fixed, **call.options)
            return partial(plan, x, out=plan(x))
        return partial(getattr(self.fc, call.function), *arrays, **call.options)


class Torch(Library):
    """Timed: eager functions, from tensors to a new tensor; in NHWC with filters in channels_last too.

    The gradients are those of aten, without autograd's bookkeeping.
    """

    title = "PyTorch"
    package = module = "torch"
    layouts, dtypes = LAYOUTS, DTYPES

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import torch

        self.torch = torch
        torch.set_num_threads(setting.threads)
        torch.set_grad_enabled(False)

    def _images(self, array: Array) -> Any:
        """PyTorch's NHWC is a tensor of shape NCHW with other strides."""
        tensor = self.torch.from_numpy(array)
        return tensor if self.layout == "nchw" else tensor.permute(0, 3, 1, 2)

    def to_numpy(self, y: Any) -> Array:
        return super().to_numpy(y if self.layout == "nchw" else y.permute(0, 2, 3, 1))

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        x, grad = self._images(arrays.x), self._images(arrays.grad)
        weight, bias = map(self.torch.from_numpy, (arrays.weight, arrays.bias))
        if self.layout == "nhwc":
            weight = weight.contiguous(memory_format=self.torch.channels_last)
        stride, padding, groups = [layer.stride] * 2, [layer.padding] * 2, layer.groups
        conv2d = self.torch.nn.functional.conv2d
        backward = self.torch.ops.aten.convolution_backward

        def gradients(*needs: bool) -> Any:
            return backward(grad, x, weight, [layer.k], stride, padding, [1, 1], False, [0, 0], groups, needs)

        return {
            "forward": lambda: conv2d(x, weight, bias, stride, padding, 1, groups),
            "grad_x": lambda: gradients(True, False, False),
            "grad_weight": lambda: gradients(False, True, True),
        }

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        x, grad = self._images(arrays.x), self._images(arrays.grad)
        weight, bias = map(self.torch.from_numpy, (arrays.weight, arrays.bias))
        if self.layout == "nhwc":
            weight = weight.contiguous(memory_format=self.torch.channels_last)
        stride, padding, more = [layer.stride] * 2, [layer.padding] * 2, [layer.output_padding] * 2
        conv = self.torch.nn.functional.conv_transpose2d
        backward = self.torch.ops.aten.convolution_backward

        def gradients(*needs: bool) -> Any:
            return backward(grad, x, weight, [layer.k], stride, padding, [1, 1], True, more, 1, needs)

        return {
            "conv_transpose": lambda: conv(x, weight, bias, stride, padding, more),
            "conv_transpose_grad_x": lambda: gradients(True, False, False),
            "conv_transpose_grad_weight": lambda: gradients(False, True, True),
        }

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        images, gradient = self._images(x), self._images(grad)
        kernel, stride, padding = [layer.kernel] * 2, [layer.stride] * 2, [layer.padding] * 2
        functions, aten = self.torch.nn.functional, self.torch.ops.aten
        _, indices = functions.max_pool2d(images, kernel, stride, padding, return_indices=True)
        return {
            "max_pool": lambda: functions.max_pool2d(images, kernel, stride, padding, return_indices=True),
            "max_pool_backward": lambda: aten.max_pool2d_with_indices_backward(
                gradient, images, kernel, stride, padding, [1, 1], False, indices),
            "avg_pool": lambda: functions.avg_pool2d(images, kernel, stride, padding),
            "avg_pool_backward": lambda: aten.avg_pool2d_backward(
                gradient, images, kernel, stride, padding, False, True, None),
        }

    def network(self, network: Network, images: Array, target: Array) -> Calls:
        torch, nn = self.torch, self.torch.nn
        model = nn.Sequential(*_modules(nn, network, getattr(torch, self.dtype)), nn.LogSoftmax(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        x, labels, run = torch.from_numpy(images), torch.from_numpy(target), self._made(model)

        def step() -> None:
            with torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                nn.functional.nll_loss(run(x), labels).backward()
                optimizer.step()

        def predict() -> Any:
            with torch.inference_mode():
                return run(x)

        return {"training_step": step, "prediction": predict}

    def _made(self, model: Any) -> Any:
        return model

    def small(self, call: SmallCall, arrays: list[Array]) -> Call | None:
        function = getattr(self.torch.nn.functional, call.function, None)
        options = {"dim": -1} if call.function == "log_softmax" else call.options  # which PyTorch wants named
        return function and partial(function, *map(self.torch.from_numpy, arrays), **options)


class TorchCompiled(Torch):
    """Timed: whole networks through `torch.compile`. A layer alone is what PyTorch's eager functions are."""

    title = "PyTorch, compiled"

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        return {}

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        return {}

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        return {}

    def large(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        return {}

    def small(self, call: SmallCall, arrays: list[Array]) -> Call | None:
        return None

    def _made(self, model: Any) -> Any:
        return self.torch.compile(model)


class Jax(Library):
    """Timed: compiled functions, from device arrays until the result is there. No bias."""

    title = "JAX"
    package = module = "jax"
    layouts, dtypes = LAYOUTS, DTYPES
    adds_bias = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        # XLA has no setting for its threads: it starts one for each CPU that the process may use.
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:setting.threads])
        import jax

        self.jax = jax
        jax.config.update("jax_enable_x64", setting.dtype == "float64")

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        jax, form = self.jax, self.layout.upper()
        x, weight, grad = (jax.numpy.array(array) for array in (arrays.x, arrays.weight, arrays.grad))

        def convolve(x: Any, weight: Any) -> Any:
            return jax.lax.conv_general_dilated(x, weight, [layer.stride] * 2, [(layer.padding, layer.padding)] * 2,
                                                dimension_numbers=(form, "OIHW", form),
                                                feature_group_count=layer.groups)

        forward = jax.jit(convolve)
        grad_x = jax.jit(lambda x, weight, grad: jax.vjp(lambda x: convolve(x, weight), x)[1](grad))
        grad_weight = jax.jit(lambda x, weight, grad: jax.vjp(lambda weight: convolve(x, weight), weight)[1](grad))
        return {
            "forward": lambda: forward(x, weight).block_until_ready(),
            "grad_x": lambda: jax.block_until_ready(grad_x(x, weight, grad)),
            "grad_weight": lambda: jax.block_until_ready(grad_weight(x, weight, grad)),
        }

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        """A convolution of x with pixels of zeros between its own, with the filters turned beforehand."""
        jax, form = self.jax, self.layout.upper()
        x, grad = jax.numpy.array(arrays.x), jax.numpy.array(arrays.grad)
        weight = jax.numpy.array(np.ascontiguousarray(arrays.weight.swapaxes(0, 1)[..., ::-1, ::-1]))
        pads = [(taps - 1 - layer.padding, taps - 1 - layer.padding + layer.output_padding)
                for taps in (layer.r, layer.s)]

        def convolve(x: Any, weight: Any) -> Any:
            return jax.lax.conv_general_dilated(x, weight, [1, 1], pads, lhs_dilation=[layer.stride] * 2,
                                                dimension_numbers=(form, "OIHW", form))

        forward = jax.jit(convolve)
        grad_x = jax.jit(lambda x, weight, grad: jax.vjp(lambda x: convolve(x, weight), x)[1](grad))
        grad_weight = jax.jit(lambda x, weight, grad: jax.vjp(lambda weight: convolve(x, weight), weight)[1](grad))
        return {
            "conv_transpose": lambda: forward(x, weight).block_until_ready(),
            "conv_transpose_grad_x": lambda: jax.block_until_ready(grad_x(x, weight, grad)),
            "conv_transpose_grad_weight": lambda: jax.block_until_ready(grad_weight(x, weight, grad)),
        }

    def network(self, network: Network, images: Array, target: Array) -> Calls:
        """The whole step is one compiled function of parameters and momenta, which gives new ones."""
        jax, random = self.jax, np.random.default_rng(0)
        jnp, tree_map = jax.numpy, jax.tree_util.tree_map
        x, labels, rows = jnp.array(images), jnp.array(target), np.arange(len(images))
        parameters = [(jnp.array(random.normal(scale=np.prod(shape[:-1]) ** -0.5, size=shape), self.dtype),
                       jnp.zeros(shape[-1], self.dtype)) for shape in _filter_shapes(network)]

        def forward(parameters: Any, x: Any) -> Any:
            weights = iter(parameters)
            for layer in network.layers:
                if isinstance(layer, Conv):
                    weight, bias = next(weights)
                    x = bias[:, None, None] + jax.lax.conv_general_dilated(
                        x, weight, [1, 1], [(layer.padding, layer.padding)] * 2,
                        dimension_numbers=("NCHW", "HWIO", "NCHW"))
                elif isinstance(layer, Linear):
                    weight, bias = next(weights)
                    x = x @ weight + bias
                elif layer == "relu":
                    x = jnp.maximum(x, 0)
                elif layer == "pool":
                    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
                else:
                    x = x.reshape(len(x), -1)
            return jax.nn.log_softmax(x)

        def loss(parameters: Any) -> Any:
            return -forward(parameters, x)[rows, labels].mean()

        def update(parameters: Any, momenta: Any) -> Any:
            momenta = tree_map(lambda momentum, grad: MOMENTUM * momentum + grad, momenta, jax.grad(loss)(parameters))
            return tree_map(lambda one, momentum: one - LEARNING_RATE * momentum, parameters, momenta), momenta

        compiled, predict = jax.jit(update), jax.jit(forward)
        state = [parameters, tree_map(jnp.zeros_like, parameters)]

        def step() -> None:
            state[:] = jax.block_until_ready(compiled(*state))

        return {"training_step": step, "prediction": lambda: predict(state[0], x).block_until_ready()}


def _filter_shapes(network: Network) -> list[tuple[int, ...]]:
    """Of the weights of the layers that have some, with what they make last."""
    return [(layer.size, layer.size, width, layer.filters) if isinstance(layer, Conv) else (width, layer.features)
            for layer, width in network.parts() if isinstance(layer, Conv | Linear)]


class NumPy(Library):
    """What a NumPy user writes: a view of all windows, and one matrix product (`tensordot`) over channels and filter.

    It copies the windows into one large matrix, so a layer of VGG-16 takes 0.5 GB.
    Groups are a stack of matrix products.
    """

    title = "NumPy"
    package = module = "numpy"
    layouts, dtypes = LAYOUTS, DTYPES

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        x, weight, bias, _ = arrays
        n, k, oh, ow = layer.y_shape
        groups, spatial = layer.groups, self._spatial
        padding = [(layer.padding, layer.padding) if axis in spatial else (0, 0) for axis in range(4)]
        strides = tuple(slice(None, None, layer.stride if axis in spatial else 1) for axis in range(4))

        def windows() -> Array:
            """(N, C, OH, OW, R, S), or the first four as N, OH, OW, C."""
            padded = np.pad(x, padding) if layer.padding else x
            return np.lib.stride_tricks.sliding_window_view(padded, (layer.r, layer.s), spatial)[strides]

        def dense() -> Array:
            if self.layout == "nhwc":
                return np.tensordot(windows(), weight, ([3, 4, 5], [1, 2, 3])) + bias
            return (np.tensordot(windows(), weight, ([1, 4, 5], [1, 2, 3])) + bias).transpose(0, 3, 1, 2)

        def grouped() -> Array:
            filters = weight.reshape(groups, k // groups, -1)
            if self.layout == "nhwc":
                rows = windows().reshape(n, oh * ow, groups, -1).transpose(0, 2, 1, 3)
                return (rows @ filters.transpose(0, 2, 1)).transpose(0, 2, 1, 3).reshape(n, oh, ow, k) + bias
            columns = windows().transpose(0, 1, 4, 5, 2, 3).reshape(n, groups, -1, oh * ow)
            return (filters @ columns).reshape(n, k, oh, ow) + bias[:, None, None]

        return {"forward": dense if groups == 1 else grouped}

    @property
    def _spatial(self) -> tuple[int, int]:
        return (2, 3) if self.layout == "nchw" else (1, 2)


class SciPy(Library):
    """What a SciPy user writes for large filters: for each filter `fftconvolve` or `oaconvolve`, whichever is faster,
    over all images and channels at once, and the sum over the channels. SciPy has no threads here."""

    title = "SciPy"
    package = module = "scipy"
    dtypes = DTYPES

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import scipy.signal

        self.functions = scipy.signal.fftconvolve, scipy.signal.oaconvolve

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        return {}

    def large(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        x, weight, bias, _ = arrays
        channels, turned = layer.c // layer.groups, weight[:, :, ::-1, ::-1]

        def convolve(function: Any) -> Array:
            if channels == 1 and layer.groups == layer.c == layer.k:
                return function(x, turned[None, :, 0], mode="same", axes=(2, 3)) + bias[:, None, None]
            y = np.empty(layer.y_shape, x.dtype)
            for k in range(layer.k):
                first = k // (layer.k // layer.groups) * channels
                y[:, k] = function(x[:, first:first + channels], turned[None, k], mode="same",
                                   axes=(2, 3)).sum(1) + bias[k]
            return y

        return {"large": partial(convolve,
                                 min(self.functions, key=lambda function: fastest(partial(convolve, function), 0)))}
