"""A TensorFlow Lite model of one convolution, written with the schema that comes with LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.layers import ConvLayer
from benchmarks.libraries.base import Array, ConvArrays


def tflite_model(layer: ConvLayer, arrays: ConvArrays, layout: str) -> bytes:
    """NHWC is the format's own layout; around NCHW stand two transpositions. Padding is an operator of its own.

    The format's "SAME" padding would be uneven for an even size and stride 2, where ours is not.
    """
    graph, padding = _Graph(), layer.padding
    (n, c, h, w), (_, k, oh, ow) = layer.x_shape, layer.y_shape
    options = {"padding": graph.schema.Padding.VALID, "strideH": layer.stride, "strideW": layer.stride,
               "dilationHFactor": 1, "dilationWFactor": 1}
    x = y = graph.tensor(arrays.x.shape)
    if layout == "nchw":
        y = graph.apply("TRANSPOSE", "TransposeOptions", [y, graph.integers([0, 2, 3, 1])], (n, h, w, c))
    if padding:
        around = graph.integers([[0, 0], [padding, padding], [padding, padding], [0, 0]])
        y = graph.apply("PAD", "PadOptions", [y, around], (n, h + 2 * padding, w + 2 * padding, c))
    if c == k == layer.groups > 1:
        fixed = [graph.constant(arrays.weight.transpose(1, 2, 3, 0)), graph.constant(arrays.bias)]  # 1, R, S, K
        y = graph.apply("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", [y, *fixed], (n, oh, ow, k), depthMultiplier=1,
                        **options)
    else:  # the number of groups follows from the filters' channels
        fixed = [graph.constant(arrays.weight.transpose(0, 2, 3, 1)), graph.constant(arrays.bias)]  # K, R, S, C
        y = graph.apply("CONV_2D", "Conv2DOptions", [y, *fixed], (n, oh, ow, k), **options)
    if layout == "nchw":
        y = graph.apply("TRANSPOSE", "TransposeOptions", [y, graph.integers([0, 3, 1, 2])], layer.y_shape)
    return graph.model(inputs=[x], outputs=[y])


class _Graph:
    """Tensors, named by their numbers, and the operators between them."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.tensors: list[Any] = []
        self.buffers = [schema.BufferT()]  # the first one is empty: that of every tensor without fixed values
        self.codes: list[Any] = []
        self.operators: list[Any] = []

    def tensor(self, shape: tuple[int, ...], kind: str = "FLOAT32", buffer: int = 0) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), getattr(self.schema.TensorType, kind), buffer
        tensor.name = f"tensor{len(self.tensors)}".encode()
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, array: Array) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.buffers.append(buffer)
        return self.tensor(array.shape, array.dtype.name.upper(), len(self.buffers) - 1)

    def integers(self, values: Any) -> int:
        return self.constant(np.array(values, np.int32))

    def apply(self, name: str, options: str, inputs: list[int], shape: tuple[int, ...], **fields: int) -> int:
        """The tensor, of this shape, that the operator of this name makes from the inputs."""
        schema = self.schema
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.codes), inputs, [self.tensor(shape)]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        for field, value in fields.items():
            setattr(operator.builtinOptions, field, value)
        self.codes.append(code)
        self.operators.append(operator)
        return int(operator.outputs[0])

    def model(self, inputs: list[int], outputs: list[int]) -> bytes:
        import flatbuffers

        graph, model = self.schema.SubGraphT(), self.schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, self.operators, inputs, outputs
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, self.codes, [graph], self.buffers
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
