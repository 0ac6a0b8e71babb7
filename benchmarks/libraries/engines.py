"""Inference engines: they read a model of one layer, transform its weights, and then run it. All in float32."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layers import ConvLayer, TransposedLayer
from benchmarks.libraries.base import LAYOUTS, Array, Calls, ConvArrays, Library, Setting
from benchmarks.libraries.tflite import tflite_model


def onnx_model(layer: ConvLayer, arrays: ConvArrays) -> bytes:
    """A graph of one node; opset 17 in format 9 is read by every version of the last years."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("Conv", ["x", "weight", "bias"], ["y"], strides=[layer.stride] * 2,
                            pads=[layer.padding] * 4, group=layer.groups)
    fixed = [numpy_helper.from_array(getattr(arrays, name), name) for name in ("weight", "bias")]
    graph = helper.make_graph([node], "conv", [helper.make_tensor_value_info("x", TensorProto.FLOAT, layer.x_shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, layer.y_shape)], fixed)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                   ir_version=9).SerializeToString())


def onnx_transposed(layer: TransposedLayer, arrays: ConvArrays) -> bytes:
    """The same of a transposed convolution."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("ConvTranspose", ["x", "weight", "bias"], ["y"], strides=[layer.stride] * 2,
                            pads=[layer.padding] * 4, output_padding=[layer.output_padding] * 2)
    fixed = [numpy_helper.from_array(getattr(arrays, name), name) for name in ("weight", "bias")]
    graph = helper.make_graph([node], "conv", [helper.make_tensor_value_info("x", TensorProto.FLOAT, layer.x_shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, layer.y_shape)], fixed)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                   ir_version=9).SerializeToString())


class Engine(Library):
    prepares_weights = True

    def in_both(self, call: Any) -> Calls:
        """The same call is the engine's forward and planned: it knows only prepared weights."""
        return {"forward": call, "planned": call}


class OnnxRuntime(Engine):
    """Timed: a session's run, from an array to a new array."""

    title = "ONNX Runtime"
    package = module = "onnxruntime"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import onnx  # noqa: F401 (the model is made with it)
        import onnxruntime

        self.runtime = onnxruntime

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        return self.in_both(self._run(onnx_model(layer, arrays), arrays.x))

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        call = self._run(onnx_transposed(layer, arrays), arrays.x)
        return {"conv_transpose": call, "conv_transpose_planned": call}

    def _run(self, model: bytes, x: Array) -> Any:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = self.runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})[0]


class OpenVino(Engine):
    """Timed: a request, from the caller's array, without a copy, to OpenVINO's own output tensor.

    A model in NHWC is the one in NCHW between two transpositions, which OpenVINO merges with its own choice of layout.
    """

    title = "OpenVINO"
    package = module = "openvino"
    layouts = LAYOUTS

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import openvino
        import openvino.opset13 as operations

        self.openvino, self.operations, self.core = openvino, operations, openvino.Core()
        self.config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": setting.threads, "NUM_STREAMS": 1,
                       "ENABLE_CPU_PINNING": False}

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        model = self.core.compile_model(self._model(layer, arrays), "CPU", self.config)
        request = model.create_infer_request()
        request.set_input_tensor(self.openvino.Tensor(arrays.x, shared_memory=True))

        def infer(keep: ConvArrays = arrays) -> Any:  # OpenVINO does not keep the array that it reads alive
            request.infer()
            return request

        return self.in_both(infer)

    def to_numpy(self, y: Any) -> Array:
        return super().to_numpy(y.get_output_tensor().data)

    def _model(self, layer: ConvLayer, arrays: ConvArrays) -> Any:
        make, groups = self.operations, layer.groups
        x = y = make.parameter(arrays.x.shape, np.float32)
        options = [layer.stride] * 2, [layer.padding] * 2, [layer.padding] * 2, [1, 1]
        if self.layout == "nhwc":
            y = make.transpose(y, [0, 3, 1, 2])
        if groups == 1:
            y = make.convolution(y, arrays.weight, *options)
        else:
            k, *filter_shape = layer.weight_shape
            y = make.group_convolution(y, arrays.weight.reshape(groups, k // groups, *filter_shape), *options)
        y = make.add(y, arrays.bias.reshape(1, -1, 1, 1))
        if self.layout == "nhwc":
            y = make.transpose(y, [0, 2, 3, 1])
        return self.openvino.Model([y], [x], "conv")


class Ncnn(Engine):
    """Timed: for one image after the other, as ncnn is used, an extractor, from the caller's memory to a new Mat.

    ncnn's own change of layout before and after is part of it. All that would compute in less than float32 is off, and
    memory is taken from its pools.
    """

    title = "ncnn"
    package = module = "ncnn"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import ncnn

        self.ncnn = ncnn
        # They outlive the nets, which only point at them.
        self.pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        net = self._net(layer, arrays)
        images = [self.ncnn.Mat(image) for image in arrays.x]

        def run(image: Any) -> Any:
            extractor = net.create_extractor()
            extractor.input("x", image)
            return extractor.extract("y")[1]

        def batch(keep: ConvArrays = arrays) -> list[Any]:  # a Mat does not keep the array that it looks at alive
            return [run(image) for image in images]

        return self.in_both(batch)

    def to_numpy(self, y: Any) -> Array:
        return np.stack([np.array(image) for image in y])

    def _net(self, layer: ConvLayer, arrays: ConvArrays) -> Any:
        """Parameters as in ncnn's list of operators; of the weights, a word of zeros says that they are float32."""
        net = self.ncnn.Net()
        net.opt.num_threads = self.threads
        net.opt.blob_allocator, net.opt.workspace_allocator = self.pools
        for option in dir(net.opt):
            if option.startswith(("use_fp16", "use_bf16", "use_int8")):
                setattr(net.opt, option, False)
        numbers = {0: layer.k, 1: layer.s, 11: layer.r, 3: layer.stride, 13: layer.stride, 4: layer.padding,
                   14: layer.padding, 5: 1, 6: arrays.weight.size}
        if layer.groups > 1:
            numbers[7] = layer.groups
        kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
        described = " ".join(f"{key}={value}" for key, value in numbers.items())
        net.load_param_mem(f"7767517\n2 2\nInput image 0 1 x\n{kind} conv 1 1 x y {described}\n")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "conv.bin")
            file.write_bytes(bytes(4) + arrays.weight.tobytes() + arrays.bias.tobytes())
            net.load_model(str(file))
        return net


class LiteRt(Engine):
    """Timed: invoke, which LiteRT leaves to XNNPACK, from its input tensor to its output tensor.

    XNNPACK computes in NHWC; for NCHW the model has a transposition before and after.
    """

    title = "LiteRT"
    package, module = "ai-edge-litert", "ai_edge_litert"
    layouts = LAYOUTS

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        from ai_edge_litert import interpreter

        self.interpreter = interpreter

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        model = self.interpreter.Interpreter(model_content=tflite_model(layer, arrays, self.layout),
                                             num_threads=self.threads)
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], arrays.x)

        def invoke() -> Any:
            model.invoke()
            return model

        return self.in_both(invoke)

    def to_numpy(self, y: Any) -> Array:
        return super().to_numpy(y.get_tensor(y.get_output_details()[0]["index"]))


class Mnn(Engine):
    """Timed: runSession, from a host tensor in NCHW to another, MNN's own change of layout included.

    The copies from and to NumPy are not: a program in C++ does without them. With precision "high" it computes
    in float32, but its Winograd algorithm is less exact than `benchmarks.accuracy` asks for: up to 3e-4 off,
    with filters of 3 x 3 and 5 x 5.
    """

    title = "MNN"
    package, module = "mnn", "MNN"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import _tools  # MNN's converter itself: importing MNN.tools would install packages and report its use
        import MNN
        import onnx  # noqa: F401 (the model is made with it)

        self.mnn, self.tools = MNN, _tools

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        net, x = self._net(layer, arrays), self._host_tensor(arrays.x)
        session = net.createSession({"backend": "CPU", "precision": "high", "numThread": self.threads})
        net.getSessionInput(session).copyFrom(x)

        def run() -> Any:
            net.runSession(session)
            return net, session, x

        return self.in_both(run)

    def to_numpy(self, y: Any) -> Array:
        """Of a run that begins with the input: a session overwrites its own with what it computes."""
        net, session, x = y
        net.getSessionInput(session).copyFrom(x)
        net.runSession(session)
        output = net.getSessionOutput(session)
        copied = self._host_tensor(np.empty(output.getShape(), np.float32))
        output.copyToHostTensor(copied)
        return np.array(copied.getData(), np.float32).reshape(output.getShape())

    def _host_tensor(self, array: Array) -> Any:
        return self.mnn.Tensor(array.shape, self.mnn.Halide_Type_Float, array, self.mnn.Tensor_DimensionType_Caffe)

    def _net(self, layer: ConvLayer, arrays: ConvArrays) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            source, converted = Path(folder, "conv.onnx"), Path(folder, "conv.mnn")
            source.write_bytes(onnx_model(layer, arrays))
            self.tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(converted),
                                   "--bizCode", "-"])
            return self.mnn.Interpreter(str(converted))
