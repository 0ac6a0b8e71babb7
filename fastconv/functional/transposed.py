"""What transposed convolutions have in common: how a call is checked, once, and run.

A transposed convolution is the data gradient of the convolution that leads back from its result to its input; below
this floor it is one, of that convolution's `ConvProblem`, with a bias and an activation.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastconv._core.planner.plan import ALGORITHMS, conv2d_plan
from fastconv._core.planner.transposed import transposed_plan, unavailable
from fastconv._core.pointwise.bias_gradient import bias_gradient
from fastconv._core.problem.convolution import Convolution, Epilogue
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import memory
from fastconv._core.runtime.arrays import as_rows
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks, results
from fastconv.functional.convolution import ACTIVATIONS, NEGATIVE_SLOPE
from fastconv.functional.foreign import shown


class TransposedCall:
    """A checked transposed convolution: its plan, the form of its result, and what comes to the sums.

    view, filters: how the plan sees x and y, and the weights, or None where as they are.
    """

    __slots__ = ("plan", "shape", "dtype", "empty", "view", "filters", "epilogue")

    def __init__(self, plan, shape, dtype, view, filters, epilogue):
        self.plan, self.shape, self.dtype, self.empty = plan, shape, dtype, 0 in shape
        self.view, self.filters, self.epilogue = view, filters, epilogue

    def run(self, x, weight, bias, out, *prepared):
        """The result for arrays that were checked, in `out`, which is checked here, or a new array.

        prepared: what `prepare` made of the weights.
        """
        if out is None:
            out = memory.empty(self.shape, self.dtype)
        else:
            checks.out(out, self.shape, self.dtype, x, weight, bias)
        if not self.empty:
            y = out
            if self.view is not None:
                x, y = self.view(x), self.view(out)
                if self.filters is not None:
                    weight = self.filters(weight)
            self.plan(x, weight, y, bias, self.epilogue, *prepared)
        return out

    def prepare(self, weight):
        """What the plan makes of the weights, as a tuple for `run`."""
        return self.plan.prepare(weight if self.filters is None else self.filters(weight))


class TransposedConvolutions:
    """The transposed convolutions over so many axes: their checks, and the calls that are remembered.

    What stands here is that of images; signals and volumes say how their arrays, problems and plans differ.
    """

    axes = 2
    record = Convolution    # of the arrays of a gradient, for the plan
    filters: Any = None     # how the plan sees weights, where not as they are
    unavailable = staticmethod(unavailable)
    bias_gradient = staticmethod(bias_gradient)

    def __init__(self):
        self.calls, self._gradient_calls = Memo(arrays=3, bits=7), Memo(arrays=3, bits=7)

    def problem(self, *sizes):
        """The problem of the convolution that leads back, of checked sizes in the order of the fields of
        ConvProblem."""
        return ConvProblem(*sizes)

    def transposed_plan(self, problem, algorithm):
        return transposed_plan(problem, algorithm)

    def plan(self, problem):
        """That of the convolution that leads back."""
        return conv2d_plan(problem, "auto")

    def view(self, batched, data_format):
        """How the plan sees x and y, or None where as they are."""
        plain = batched and data_format == checks.FORMATS[self.axes][0]
        return None if plain else functools.partial(checks.nchw, data_format=data_format)

    # -- forward

    def find_call(self, x, weight, bias, stride=1, padding=0, output_padding=0, output_size=None, dilation=1, groups=1,
                  data_format="NCHW", activation=None, algorithm="auto"):
        """The arguments of a forward function, checked -> the call, and the arrays that it runs on."""
        call = self.calls.find(x, weight, bias, stride, padding, output_padding, output_size, dilation, groups,
                                data_format, activation, algorithm)
        if call is None:
            x, weight = checks.array(x, "x"), checks.array(weight, "weight")
            bias = None if bias is None else np.ascontiguousarray(checks.array(bias, "bias"))
            dtype = checks.same_dtype(x=x, weight=weight, bias=bias)
            images, batched = checks.images(x, data_format, axes=self.axes)
            call = self.checked_call(images.shape, batched, dtype, weight, bias, stride, padding, output_padding,
                                     output_size, dilation, groups, data_format, activation, algorithm)
            self.calls.keep(call, x, weight, bias, stride, padding, output_padding, output_size, dilation, groups,
                             data_format, activation, algorithm)
        return call, x, weight, bias

    def checked_call(self, sizes, batched, dtype, weight, bias, stride, padding, output_padding, output_size, dilation,
                     groups, data_format, activation, algorithm):
        """The call for images of these (N, C, ...) sizes, after all checks but those of x itself and of `out`."""
        problem, result = self.checked(sizes, weight.shape, stride, padding, output_padding, output_size, dilation,
                                       groups, dtype, data_format)
        if bias is not None:
            checks.shape(bias, "bias", result[1:2], "(one number for each channel of the result)")
        checks.choice(activation, "activation", ACTIVATIONS)
        return TransposedCall(self.planned(problem, algorithm), checks.result_shape(result, data_format, batched),
                              dtype, self.view(batched, data_format), self.filters,
                              Epilogue(ACTIVATIONS.index(activation), NEGATIVE_SLOPE))

    def planned(self, problem, algorithm):
        """The plan for a problem, after the check of the algorithm."""
        checks.choice(algorithm, "algorithm", ALGORITHMS)
        reason = self.unavailable(algorithm, problem)
        if reason is not None:
            raise ValueError(f"algorithm {algorithm!r} is not possible: {reason}")
        return self.transposed_plan(problem, algorithm)

    def checked(self, x_shape, weight_shape, stride, padding, output_padding, output_size, dilation, groups, dtype,
                data_format):
        """The options of a transposed convolution, checked against the shapes -> the problem of the convolution that
        leads back, and the (N, K, ...) sizes of the result."""
        stride, pads, dilation, groups, size = transposed_window(
            x_shape, weight_shape, stride, padding, output_padding, output_size, dilation, groups)
        result = x_shape[0], weight_shape[1] * groups, *size
        checks.fits_memory(result, dtype)
        return self.problem(result, tuple(weight_shape), stride, pads, dilation, groups, tuple(x_shape[2:]),
                            dtype.itemsize, data_format == checks.FORMATS[self.axes][1], "constant"), result

    # -- backward

    def backward(self, grad_output, x, weight, stride, padding, output_padding, output_size, dilation, groups,
                 data_format, needs, out=None):
        """The gradients of a forward function."""
        # Three constants, in a tuple that may be new.
        flags = needs if type(needs) is tuple and len(needs) == 3 else (needs,)
        found = self._gradient_calls.find(grad_output, x, weight, stride, padding, output_padding, output_size,
                                          dilation, groups, data_format, *flags)
        if found is None:
            grad_output, x, weight = (checks.array(grad_output, "grad_output"), checks.array(x, "x"),
                                      checks.array(weight, "weight"))
            dtype = checks.same_dtype(x=x, weight=weight, grad_output=grad_output)
            images, batched = checks.images(x, data_format, axes=self.axes)
            problem, result = self.checked(images.shape, weight.shape, stride, padding, output_padding, output_size,
                                           dilation, groups, dtype, data_format)
            checks.shape(grad_output, "grad_output", checks.result_shape(result, data_format, batched),
                         f"(that of the result of conv_transpose{self.axes}d)")
            plan = self.plan(problem)
            found = plan, self.view(batched, data_format), plan.window(), result[1:2], checks.needs(needs)
            self._gradient_calls.keep(found, grad_output, x, weight, stride, padding, output_padding, output_size,
                                      dilation, groups, data_format, *flags)
        plan, view, window, channels, wanted = found
        grad_x, grad_weight, grad_bias = results.gradients(
            out, (x.shape, weight.shape, channels), wanted, x.dtype, grad_output, x, weight)
        if x.size == 0:    # there are no images
            for gradient in (grad_weight, grad_bias):
                if gradient is not None:
                    gradient.fill(0)
            return grad_x, grad_weight, grad_bias
        filters = weight
        if view is not None:
            x, grad_output = view(x), view(grad_output)
            if self.filters is not None:
                filters = self.filters(weight)
        # The roles of x and grad_output are exchanged: the convolution leads from the one to the other.
        if grad_x is not None:
            plan.convolve(self.record(grad_output, filters, None, grad_x if view is None else view(grad_x), window))
        if grad_weight is not None:
            plan.weight_gradient(self.record(
                grad_output, grad_weight if self.filters is None else self.filters(grad_weight), None, x, window))
        if grad_bias is not None:
            self.bias_gradient(grad_output, grad_bias)
        return grad_x, grad_weight, grad_bias


class TransposedSignals(TransposedConvolutions):
    """Those of signals (N, C, L), as images of one row."""

    axes = 1
    filters = staticmethod(functools.partial(as_rows, channels_last=False))

    def problem(self, result, weight_shape, stride, pads, dilation, groups, size, *kind):
        (n, k, length), (c, own, taps) = result, weight_shape
        return ConvProblem((n, k, 1, length), (c, own, 1, taps), (1, *stride), ((0, 0), *pads), (1, *dilation), groups,
                           (1, *size), *kind)

    def view(self, batched, data_format):
        return functools.partial(as_rows, channels_last=data_format == "NLC")


_WEIGHT_SHAPES = {1: "(C, K/groups, S)", 2: "(C, K/groups, R, S)", 3: "(C, K/groups, T, R, S)"}
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def transposed_window(x_shape, weight_shape, stride, padding, output_padding, output_size, dilation, groups):
    """The options of a transposed convolution -> (stride, pads, dilation, groups, size of the result), all plain."""
    axes, channels, size, taps = len(x_shape) - 2, x_shape[1], x_shape[2:], weight_shape[2:]
    stride, dilation = checks.per_axis(stride, "stride", axes), checks.per_axis(dilation, "dilation", axes)
    groups = checks.integer(groups, "groups", 1)
    if len(weight_shape) != axes + 2 or 0 in weight_shape:
        raise ValueError(f"weight must have shape {_WEIGHT_SHAPES[axes]} without an empty axis, got {weight_shape}")
    if channels % groups:
        raise ValueError(f"groups must divide the channels of x, got groups {groups} for {channels} channels")
    if weight_shape[0] != channels:
        swapped = weight_shape[1] == channels and groups == 1
        raise ValueError(f"weight must have shape {_WEIGHT_SHAPES[axes]} with C = {channels}, the channels of x, "
                         f"got {weight_shape}{': write weight.swapaxes(0, 1)' if swapped else ''}")
    # "same" is that of the convolution that leads back, from stride times as many pixels.
    pads = checks.padding(padding, tuple(length * step for length, step in zip(size, stride)), taps, stride, dilation)
    smallest = [(length - 1) * step + distance * (count - 1) + 1 - before - after
                for length, step, distance, count, (before, after) in zip(size, stride, dilation, taps, pads)]
    if isinstance(padding, str) and padding == "same":
        result = _same(size, stride, output_padding, output_size)
    else:
        result = _larger(smallest, stride, dilation, output_padding, output_size)
    for name, length, least, (before, after) in zip(_AXES[axes], result, smallest, pads):
        if length < 1:
            raise ValueError(f"padding {before} + {after} leaves nothing of the {name} of the result, which without it "
                             f"is {least + before + after}{f' and output_padding {length - least}' * (length > least)}")
    return stride, pads, dilation, groups, tuple(result)


def output_paddings(output_padding, stride, dilation):
    """One for each axis."""
    more = checks.per_axis(output_padding, "output_padding", len(stride), 0)
    for each, step, distance in zip(more, stride, dilation):
        if each >= max(step, distance):
            raise ValueError("output_padding must be smaller than stride or dilation, "
                             f"got {each} with stride {step} and dilation {distance}")
    return more


def _same(size, stride, output_padding, output_size):
    """The size of the result with padding "same"."""
    if output_size is not None:
        raise ValueError("output_size must be left out with padding='same', where it is the size of x times stride, "
                         f"got {shown(output_size)}")
    if any(checks.per_axis(output_padding, "output_padding", len(size), 0)):
        raise ValueError("output_padding must be left at 0 with padding='same', where the size of the result is that "
                         f"of x times stride, got {shown(output_padding)}")
    return [length * step for length, step in zip(size, stride)]


def _larger(smallest, stride, dilation, output_padding, output_size):
    """The size of the result with what is added to it at the end, or with the one that is asked for."""
    axes, more = len(smallest), output_paddings(output_padding, stride, dilation)
    if output_size is None:
        return [length + each for length, each in zip(smallest, more)]
    if any(more):
        raise ValueError(f"output_padding must be left at 0 where output_size is given, got {shown(output_padding)}")
    wanted = checks.per_axis(output_size, "output_size", axes)
    for name, length, least, step in zip(_AXES[axes], wanted, smallest, stride):
        if not least <= length < least + step:
            raise ValueError(f"output_size must have a {name} from {max(least, 1)} to {least + step - 1} here, "
                             f"got {length}")
    return wanted


SIGNALS, IMAGES = TransposedSignals(), TransposedConvolutions()
