"""Random models: chains and branches of the operators of convolutional networks, of random sizes and options."""

import numpy as np
from onnx_graphs import helper, onnx, with_types

from fastconv.adapters.onnx.operators import OPERATORS

LARGEST = 40_000    # elements of an array


class Sketch:
    """A model that grows; `arrays` are the names of what there is, with their shapes."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice([9, 11, 12, 13, 16, 17, 18, 21]))
        self.nodes, self.constants, self.arrays = [], {}, {}
        axes = int(self.rng.choice([1, 2, 2, 2, 2, 3]))
        size = [int(self.rng.integers(1, 20 if axes < 3 else 8)) for _ in range(axes)]
        self.arrays["x"] = (int(self.rng.integers(1, 3)), int(self.rng.integers(1, 20)), *size)
        self.input = self.arrays["x"]

    def one(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def some(self, low, high, count):
        return [int(each) for each in self.rng.integers(low, high, count)]

    def numbers(self, *shape, positive=False):
        array = self.rng.standard_normal(shape).astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants[name] = np.abs(array) + 0.1 if positive else array
        return name

    def integers(self, values):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.array(values, np.int64)
        return name

    def model(self, outputs):
        typed = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, self.input)]
        initializers = [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "random", typed, [helper.make_empty_tensor_value_info(name) for name in
                                                                outputs], initializers)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        made.ir_version = 8
        return made

    def add(self, op, inputs, **attributes):
        """A node, if its result is of a size; returns whether."""
        name = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"node {name}", **attributes))
        inferred = onnx.shape_inference.infer_shapes(self.model([name]), strict_mode=True, data_prop=True)
        [info] = inferred.graph.output
        shape = tuple(each.dim_value for each in info.type.tensor_type.shape.dim)
        if min(shape, default=1) < 1 or np.prod(shape) > LARGEST:
            self.nodes.pop()
            return False
        self.arrays[name] = shape
        return True


def convolution(sketch, name, shape):
    axes, channels = len(shape) - 2, shape[1]
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = sketch.one(1, 1, 1, channels, sketch.one(*divisors))
    filters = groups * sketch.one(1, 1, 2, 3) if groups > 1 else sketch.one(1, 2, 5, 8, 16, 17)
    kernel, dilation = sketch.some(1, 4, axes), sketch.some(1, 3, axes)
    if any((k - 1) * d + 1 > n for k, d, n in zip(kernel, dilation, shape[2:])):
        kernel, dilation = [1] * axes, [1] * axes
    attributes = dict(kernel_shape=kernel, dilations=dilation, strides=sketch.some(1, 4, axes), group=groups)
    if sketch.one(True, False, False):
        attributes["dilations"] = [1] * axes    # with which ONNX Runtime refuses the others
        attributes["auto_pad"] = sketch.one("SAME_UPPER", "SAME_LOWER", "VALID")
    else:
        attributes["pads"] = sketch.some(0, 3, 2 * axes)
    inputs = [name, sketch.numbers(filters, channels // groups, *kernel)]
    inputs += [sketch.numbers(filters)] if sketch.one(True, False) else []
    return sketch.add("Conv", inputs, **attributes)


def transposed(sketch, name, shape):
    axes, channels = len(shape) - 2, shape[1]
    groups = sketch.one(1, 1, channels)
    kernel, stride = sketch.some(1, 4, axes), sketch.some(1, 4, axes)
    more = [int(sketch.rng.integers(0, s)) for s in stride]
    attributes = dict(kernel_shape=kernel, strides=stride, output_padding=more, group=groups)
    inputs = [name, sketch.numbers(channels, sketch.one(1, 2, 5), *kernel)]
    if sketch.one(True, False):
        inputs.append(sketch.numbers(sketch.constants[inputs[1]].shape[1] * groups))
    if all(k > 1 for k in kernel) and all(n > 1 for n in shape[2:]):
        attributes["pads"] = sketch.some(0, 2, 2 * axes)
    return sketch.add("ConvTranspose", inputs, **attributes)


def normalised(sketch, name, shape):
    channels = shape[1]
    numbers = [sketch.numbers(channels) for _ in range(3)]
    return sketch.add("BatchNormalization", [name, *numbers, sketch.numbers(channels, positive=True)])


def activated(sketch, name, shape):
    op = sketch.one("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Elu", "Clip", "PRelu", "Softplus",
                    "HardSwish", "swish", "hard swish")
    if op == "Clip":
        if sketch.opset < 11:
            return sketch.add("Clip", [name], min=sketch.one(0.0, -0.5), max=sketch.one(6.0, 1.0))
        low, high = (f"c{len(sketch.constants) + i}" for i in range(2))
        sketch.constants[low] = np.float32(sketch.one(0, -0.5))
        sketch.constants[high] = np.float32(sketch.one(6, 1))
        return sketch.add("Clip", [name, *sketch.one([low], [low, high], ["", high])])
    if op == "PRelu":
        return sketch.add("PRelu", [name, sketch.numbers(shape[1], *(1,) * (len(shape) - 2))])
    if op in ("swish", "hard swish"):
        gate = f"y{len(sketch.nodes)}"
        attributes = dict(alpha=1 / 6, beta=0.5) if op == "hard swish" else {}
        return sketch.add("HardSigmoid" if attributes else "Sigmoid", [name], **attributes) and sketch.add(
            "Mul", sketch.one([name, gate], [gate, name]))
    if op == "HardSwish" and sketch.opset < 14:
        return False
    attributes = {"LeakyRelu": dict(alpha=0.2), "HardSigmoid": dict(alpha=0.3, beta=0.4), "Elu": dict(alpha=0.7)}
    return sketch.add(op, [name], **attributes.get(op, {}))


def joined(sketch, name, shape):
    """An arithmetic of two arrays of a shape, or of one and numbers that are repeated."""
    op = sketch.one("Add", "Add", "Add", "Mul", "Sub", "Div", "Max", "Min")
    alike = [other for other, size in sketch.arrays.items() if size == shape]
    tail = (1,) * (len(shape) - 2)
    positive = op == "Div"
    other = sketch.one(sketch.one(*alike), sketch.one(*alike), sketch.numbers(shape[1], *tail, positive=positive),
                       sketch.numbers(1, positive=positive), sketch.numbers(1, shape[1], *tail, positive=positive))
    if op == "Div" and other not in sketch.constants:
        return False
    pair = [name, other] if op in ("Sub", "Div") else sketch.one([name, other], [other, name])
    return sketch.add(op, pair)


def pooled(sketch, name, shape):
    axes = len(shape) - 2
    op = sketch.one("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
    if op.startswith("Global"):
        return sketch.add(op, [name])
    kernel = [min(n, k) for n, k in zip(shape[2:], sketch.some(1, 4, axes))]
    pads = [int(sketch.rng.integers(0, k)) for k in kernel * 2]
    attributes = dict(kernel_shape=kernel, strides=sketch.some(1, 4, axes), pads=pads)
    if op == "AveragePool":
        attributes["count_include_pad"] = sketch.one(0, 1)
    return sketch.add(op, [name], **attributes)


def squeezed_and_excited(sketch, name, shape):
    if len(shape) != 4:
        return False
    first, steps = len(sketch.nodes), sketch.one(2, 3)
    if not sketch.add("GlobalAveragePool", [name]):
        return False
    if steps == 3:
        sketch.add("Conv", [f"y{first}", sketch.numbers(shape[1], shape[1], 1, 1), sketch.numbers(shape[1])])
    sketch.add("Sigmoid", [f"y{len(sketch.nodes) - 1}"])
    return sketch.add("Mul", sketch.one([name, f"y{len(sketch.nodes) - 1}"], [f"y{len(sketch.nodes) - 1}", name]))


def concatenated(sketch, name, shape):
    axis = int(sketch.rng.integers(len(shape)))
    fits = [other for other, size in sketch.arrays.items() if len(size) == len(shape)
            and all(a == axis or n == m for a, (n, m) in enumerate(zip(size, shape)))]
    return sketch.add("Concat", [name, sketch.one(*fits), *sketch.one([], [name])], axis=axis)


def cut(sketch, name, shape):
    if sketch.opset < 10:
        return False
    axis = int(sketch.rng.integers(len(shape)))
    begin = int(sketch.rng.integers(0, shape[axis]))
    end = int(sketch.rng.integers(begin + 1, shape[axis] + 1))
    step = sketch.one(1, 1, 2, -1)
    ends = (end - 1, begin - 1 if begin else -shape[axis] - 1) if step < 0 else (begin, end)
    return sketch.add("Slice", [name, *(sketch.integers([each]) for each in (*ends, axis, step))])


def padded(sketch, name, shape):
    if sketch.opset < 11:
        return False
    mode = sketch.one("constant", "edge", "reflect")
    widths = [int(sketch.rng.integers(0, min(3, n if mode == "reflect" else 3))) for n in shape * 2]
    return sketch.add("Pad", [name, sketch.integers(widths), *sketch.one([], [sketch.numbers()])], mode=mode)


def resized(sketch, name, shape):
    if sketch.opset < 11 or len(shape) != 4:
        return False
    scales = f"c{len(sketch.constants)}"
    sketch.constants[scales] = np.array([1, 1, sketch.one(1, 2, 3), sketch.one(1, 2)], np.float32)
    attributes = sketch.one(dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
                            dict(mode="linear", coordinate_transformation_mode="half_pixel"),
                            dict(mode="linear", coordinate_transformation_mode="align_corners"),
                            dict(mode="linear", coordinate_transformation_mode="asymmetric"),
                            dict(mode="nearest", coordinate_transformation_mode="half_pixel"),
                            dict(mode="cubic", coordinate_transformation_mode="half_pixel"))
    roi = "" if sketch.opset >= 13 else sketch.numbers(0)
    return sketch.add("Resize", [name, roi, scales], **attributes)


def turned(sketch, name, shape):
    return sketch.add("Transpose", [name], perm=[int(a) for a in sketch.rng.permutation(len(shape))])


def reshaped(sketch, name, shape):
    """As many axes as before, of which two have been joined and one is new; or flat."""
    return sketch.add("Reshape", [name, sketch.integers(sketch.one(
        [shape[0], -1, *shape[3:], 1], [0, 0, -1, *(1,) * (len(shape) - 3)], [*shape[:-1], -1]))])


def reduced(sketch, name, shape):
    if sketch.opset >= 18:
        return sketch.add("ReduceMean", [name, sketch.integers(sketch.one([2], [-1], [1], list(range(2, len(shape)))))])
    return sketch.add("ReduceMean", [name], axes=sketch.one([2], [-1], [1], list(range(2, len(shape)))))


def softened(sketch, name, shape):
    return sketch.add(sketch.one("Softmax", "LogSoftmax"), [name], axis=int(sketch.rng.integers(len(shape))))


STEPS = [(convolution, 8), (transposed, 1), (normalised, 2), (activated, 4), (joined, 4), (pooled, 2),
         (squeezed_and_excited, 1), (concatenated, 1), (cut, 1), (padded, 1), (resized, 1), (turned, 1), (reshaped, 1),
         (reduced, 1), (softened, 1)]


def random_model(seed, longest=14):
    """A model, its inputs and the operators in it."""
    sketch = Sketch(seed)
    steps, weights = zip(*STEPS)
    weights = np.array(weights) / sum(weights)
    for _ in range(int(sketch.rng.integers(1, longest))):
        names = list(sketch.arrays)
        # Mostly what came last, so that chains and branches grow.
        name = names[-1] if sketch.rng.random() < 0.7 else sketch.one(*names)
        step = steps[int(sketch.rng.choice(len(steps), p=weights))]
        step(sketch, name, sketch.arrays[name])
    if not sketch.nodes:
        sketch.add("Relu", ["x"])
    made = [name for name in sketch.arrays if name != "x"]
    needed = {name for node in sketch.nodes for name in node.input}
    ends = [name for name in made if name not in needed]
    outputs = [*ends, *([sketch.one(*made)] if sketch.one(True, False) else [])]
    feeds = {"x": sketch.rng.standard_normal(sketch.input).astype(np.float32)}
    assert {node.op_type for node in sketch.nodes} <= set(OPERATORS)
    return with_types(sketch.model(list(dict.fromkeys(outputs)))), feeds
