"""Each library on one layer, as its users would call it at its best.

A library takes the arrays of a layer, prepares once what its users prepare once (tensors, sessions, compiled functions),
and gives the calls to time, by operation. All get float32 in NCHW and add a bias (JAX: none, it would need a pass of its
own). In "forward" frameworks take the weights in each call, while the inference engines, ONNX Runtime and OpenVINO, always
transform them beforehand; in "planned" fastconv does so too, and stands beside the engines alone.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import ConvLayer, PoolLayer

Array = NDArray[np.float32]
Calls = dict[str, Callable[[], Any]]  # operation -> what is timed

CONV_OPERATIONS = "forward", "planned", "grad_x", "grad_weight"
POOL_OPERATIONS = "max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward"


class ConvArrays(NamedTuple):
    x: Array
    weight: Array
    bias: Array
    grad: Array  # of the output


class Library:
    """One library, imported and set to a number of threads when it is made."""

    package = ""  # its name on PyPI

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        raise NotImplementedError

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        return {}


class FastConv(Library):
    package = "fastconv"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import fastconv

        self.fc = fastconv
        fastconv.set_num_threads(threads)

    def version(self) -> str:
        config = self.fc.show_config("dicts")
        return f"{config['version']} ({config['isa']['in_use']})"

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        fc = self.fc
        x, weight, bias, grad = arrays
        options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "groups": layer.groups}
        plan = fc.plan_conv2d(x.shape, weight, bias, **options)
        return {
            "forward": lambda: fc.conv2d(x, weight, bias, **options),
            "planned": lambda: plan(x),
            "grad_x": lambda: fc.conv2d_backward(grad, x, weight, needs=(True, False, False), **options),
            "grad_weight": lambda: fc.conv2d_backward(grad, x, weight, needs=(False, True, True), **options),
        }

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        fc = self.fc
        options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding}
        kernel = layer.kernel
        _, indices = fc.max_pool2d(x, kernel, return_indices=True, **options)
        return {
            "max_pool": lambda: fc.max_pool2d(x, kernel, return_indices=True, **options),
            "max_pool_backward": lambda: fc.max_pool2d_backward(grad, indices, x.shape, kernel, **options),
            "avg_pool": lambda: fc.avg_pool2d(x, kernel, **options),
            "avg_pool_backward": lambda: fc.avg_pool2d_backward(grad, x.shape, kernel, **options),
        }


class Torch(Library):
    """The gradients are those of aten, without autograd's bookkeeping."""

    package = "torch"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        x, weight, bias, grad = map(self.torch.from_numpy, arrays)
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

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        images, gradient = self.torch.from_numpy(x), self.torch.from_numpy(grad)
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


class OnnxRuntime(Library):
    package = "onnxruntime"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import onnx
        import onnxruntime

        self.onnx, self.runtime = onnx, onnxruntime

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = self.runtime.InferenceSession(self._model(layer, arrays), options, providers=["CPUExecutionProvider"])
        return dict.fromkeys(("forward", "planned"), lambda: session.run(None, {"x": arrays.x}))

    def _model(self, layer: ConvLayer, arrays: ConvArrays) -> bytes:
        """A graph of one node; opset 17 in format 9 is read by every version of the last years."""
        make, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        node = make.make_node("Conv", ["x", "weight", "bias"], ["y"], strides=[layer.stride] * 2, pads=[layer.padding] * 4,
                              group=layer.groups)
        fixed = [self.onnx.numpy_helper.from_array(getattr(arrays, name), name) for name in ("weight", "bias")]
        graph = make.make_graph([node], "conv", [make.make_tensor_value_info("x", kind, layer.x_shape)],
                                [make.make_tensor_value_info("y", kind, layer.y_shape)], fixed)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
        return bytes(model.SerializeToString())


class Jax(Library):
    package = "jax"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        # XLA has no setting for its threads: it starts one for each CPU that the process may use.
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        import jax

        self.jax = jax

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        jax = self.jax
        x, weight, grad = (jax.numpy.array(array) for array in (arrays.x, arrays.weight, arrays.grad))

        def convolve(x: Any, weight: Any) -> Any:
            return jax.lax.conv_general_dilated(x, weight, [layer.stride] * 2, [(layer.padding, layer.padding)] * 2,
                                                feature_group_count=layer.groups)

        forward = jax.jit(convolve)
        grad_x = jax.jit(lambda x, weight, grad: jax.vjp(lambda x: convolve(x, weight), x)[1](grad))
        grad_weight = jax.jit(lambda x, weight, grad: jax.vjp(lambda weight: convolve(x, weight), weight)[1](grad))
        return {
            "forward": lambda: jax.block_until_ready(forward(x, weight)),
            "grad_x": lambda: jax.block_until_ready(grad_x(x, weight, grad)),
            "grad_weight": lambda: jax.block_until_ready(grad_weight(x, weight, grad)),
        }


class OpenVino(Library):
    """From the caller's array, which it reads in place, to its own output tensor."""

    package = "openvino"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import openvino
        import openvino.opset13 as operations

        self.openvino, self.operations, self.core = openvino, operations, openvino.Core()
        self.config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                       "ENABLE_CPU_PINNING": False}

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        model = self.core.compile_model(self._model(layer, arrays), "CPU", self.config)
        request = model.create_infer_request()
        request.set_input_tensor(self.openvino.Tensor(arrays.x, shared_memory=True))

        def infer() -> ConvArrays:
            request.infer()
            return arrays  # OpenVINO does not keep the array that it reads alive; this function does

        return dict.fromkeys(("forward", "planned"), infer)

    def _model(self, layer: ConvLayer, arrays: ConvArrays) -> Any:
        make, groups = self.operations, layer.groups
        x = make.parameter(layer.x_shape, np.float32)
        options = [layer.stride] * 2, [layer.padding] * 2, [layer.padding] * 2, [1, 1]
        if groups == 1:
            y = make.convolution(x, arrays.weight, *options)
        else:
            k, *filter_shape = layer.weight_shape
            y = make.group_convolution(x, arrays.weight.reshape(groups, k // groups, *filter_shape), *options)
        return self.openvino.Model([make.add(y, arrays.bias.reshape(1, -1, 1, 1))], [x], "conv")


LIBRARIES: dict[str, type[Library]] = {
    "fastconv": FastConv, "torch": Torch, "onnxruntime": OnnxRuntime, "jax": Jax, "openvino": OpenVino,
}
