"""What convolutions in one, two and three dimensions have in common: how a call is checked, once, and run.

A call is: check the arguments, find the plan, make the output, run the plan's driver. Below this floor an array is
always (N, C, ...) with any strides: channels last are seen through a transpose and never copied.
"""

from __future__ import annotations

import functools

import numpy as np

from fastconv._core.planner.plan import ALGORITHMS, conv2d_plan, unavailable
from fastconv._core.pointwise.bias_gradient import bias_gradient
from fastconv._core.problem.convolution import Convolution, Epilogue
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import memory
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks, expressions, results

ACTIVATIONS = (None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6")  # the drivers take the index
NEGATIVE_SLOPE = 0.01  # of activation="leaky_relu", as the default of fc.leaky_relu


class ConvCall:
    """A checked convolution: its plan, the form of its result, and the options as the driver takes them.

    kind: the Convolutions that it is of; view: how the driver sees x and y, or None where as they are.
    """

    __slots__ = ("plan", "shape", "dtype", "empty", "view", "filters", "record", "keeps_weights", "convolve", "window",
                 "epilogue")

    def __init__(self, kind, plan, shape, dtype, view, window, epilogue):
        self.plan, self.shape, self.dtype, self.view, self.empty = plan, shape, dtype, view, 0 in shape
        self.keeps_weights, self.convolve = plan.keeps_weights(), plan.convolve
        self.filters, self.record = kind.filters, kind.record
        self.window, self.epilogue = window, epilogue

    def run(self, x, weight, bias, out, *prepared):
        """The convolution of arrays that were checked, into `out`, which is checked here, or a new array.

        prepared: what the driver's `prepare` made of the weights.
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
            self.convolve(self.record(x, weight, bias, y, self.window, self.epilogue), *prepared)
        return out

    def prepare(self, weight):
        """What the driver makes of the weights, as a tuple for `run`; empty where it uses them as they are."""
        return self.plan.prepare(weight if self.filters is None else self.filters(weight))


class Convolutions:
    """The convolutions over so many axes: their checks, and the calls that are remembered.

    What stands here is that of images; signals and volumes say how their arrays, problems and plans differ.
    """

    axes = 2
    record = Convolution    # of the arrays of a call, for the plan
    filters = None          # how the driver sees weights, where not as they are
    unavailable = staticmethod(unavailable)
    bias_gradient = staticmethod(bias_gradient)

    def __init__(self):
        # Plans of volumes are large, and of few sizes.
        bits = 7 if self.axes == 3 else 9
        self.calls, self._gradient_calls = Memo(arrays=3, bits=bits), Memo(arrays=3, bits=bits)

    def problem(self, *sizes):
        """The problem of checked sizes, in the order of the fields of ConvProblem."""
        return ConvProblem(*sizes)

    def plan(self, problem, algorithm):
        return conv2d_plan(problem, algorithm)

    def output_shape(self, problem):
        """(N, K, ...)"""
        return problem.output_shape

    def view(self, batched, data_format):
        """How the driver sees x and y, or None where as they are."""
        plain = batched and data_format == checks.FORMATS[self.axes][0]
        return None if plain else functools.partial(checks.nchw, data_format=data_format)

    # -- forward

    def find_call(self, x, weight, bias, stride=1, padding=0, dilation=1, groups=1, padding_mode="constant",
                  padding_value=0.0, data_format="NCHW", activation=None, algorithm="auto"):
        """The arguments of a forward function, checked -> the call, and the arrays that it runs on."""
        call = self.calls.find(x, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
                                data_format, activation, algorithm)
        if call is None:
            x, weight = checks.array(x, "x"), checks.array(weight, "weight")
            bias = None if bias is None else np.ascontiguousarray(checks.array(bias, "bias"))
            dtype = checks.same_dtype(x=x, weight=weight, bias=bias)
            images, batched = checks.images(x, data_format, axes=self.axes, filters=weight.shape)
            call = self.checked_call(images.shape, batched, dtype, weight, bias, stride, padding, dilation, groups,
                                     padding_mode, padding_value, data_format, activation, algorithm)
            self.calls.keep(call, x, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
                             data_format, activation, algorithm)
        return call, x, weight, bias

    def checked_call(self, sizes, batched, dtype, weight, bias, stride, padding, dilation, groups, padding_mode,
                     padding_value, data_format, activation, algorithm):
        """The call for images of these (N, C, ...) sizes, after all checks but those of x itself and of `out`."""
        plan, fill = self.planned(sizes, weight.shape, stride, padding, dilation, groups, padding_mode, padding_value,
                                  algorithm, dtype.itemsize, data_format == checks.FORMATS[self.axes][1])
        if bias is not None:
            checks.shape(bias, "bias", weight.shape[:1], "(one number for each filter)",
                         expressions.for_each(bias.shape, weight.shape[0]))
        checks.choice(activation, "activation", ACTIVATIONS)
        shape = checks.result_shape(self.output_shape(plan.problem), data_format, batched)
        checks.fits_memory(shape, dtype)
        return ConvCall(self, plan, shape, dtype, self.view(batched, data_format), plan.window(fill),
                        Epilogue(ACTIVATIONS.index(activation), NEGATIVE_SLOPE))

    def planned(self, x_shape, weight_shape, stride, padding, dilation, groups, padding_mode, padding_value, algorithm,
                itemsize, channels_last):
        """The options of a convolution, checked against the shapes -> its plan and the padding value."""
        stride, pads, dilation, groups, output_size = checks.convolution_window(
            x_shape, weight_shape, stride, padding, dilation, groups, channels_last)
        _, fill = checks.padding_mode(padding_mode, padding_value, pads, x_shape[2:])
        checks.choice(algorithm, "algorithm", ALGORITHMS)
        problem = self.problem(x_shape, weight_shape, stride, pads, dilation, groups, output_size, itemsize,
                               channels_last, padding_mode)
        reason = self.unavailable(algorithm, problem)
        if reason is not None:
            raise ValueError(f"algorithm {algorithm!r} is not possible: {reason}")
        return self.plan(problem, algorithm), fill

    def problem_of(self, x, weight, *options):
        """The problem of such a call."""
        return self.find_call(x, weight, None, *options)[0].plan.problem

    # -- backward

    def backward(self, grad_output, x, weight, stride, padding, dilation, groups, padding_mode, padding_value,
                 data_format, needs, out=None):
        """The gradients of a forward function."""
        # Three constants, in a tuple that may be new.
        flags = needs if type(needs) is tuple and len(needs) == 3 else (needs,)
        found = self._gradient_calls.find(grad_output, x, weight, stride, padding, dilation, groups, padding_mode,
                                          padding_value, data_format, *flags)
        if found is None:
            grad_output, x, weight = (checks.array(grad_output, "grad_output"), checks.array(x, "x"),
                                      checks.array(weight, "weight"))
            dtype = checks.same_dtype(x=x, weight=weight, grad_output=grad_output)
            images, batched = checks.images(x, data_format, axes=self.axes, filters=weight.shape)
            plan, fill = self.planned(images.shape, weight.shape, stride, padding, dilation, groups, padding_mode,
                                      padding_value, "auto", dtype.itemsize,
                                      data_format == checks.FORMATS[self.axes][1])
            checks.shape(grad_output, "grad_output",
                         checks.result_shape(self.output_shape(plan.problem), data_format, batched),
                         f"(that of the result of conv{self.axes}d)")
            found = plan, self.view(batched, data_format), plan.window(fill), checks.needs(needs)
            self._gradient_calls.keep(found, grad_output, x, weight, stride, padding, dilation, groups,
                                      padding_mode, padding_value, data_format, *flags)
        plan, view, window, wanted = found
        grad_x, grad_weight, grad_bias = results.gradients(
            out, (x.shape, weight.shape, weight.shape[:1]), wanted, x.dtype, grad_output, x, weight)
        filters, of_filters, of_image = weight, grad_weight, grad_x
        if view is not None:
            x, grad_output = view(x), view(grad_output)
            of_image = None if grad_x is None else view(grad_x)
            if self.filters is not None:
                filters = self.filters(weight)
                of_filters = None if grad_weight is None else self.filters(grad_weight)
        self.fill_gradients(plan, window, (grad_output, x, filters), (of_image, of_filters, grad_bias))
        return grad_x, grad_weight, grad_bias

    def fill_gradients(self, plan, window, arrays, gradients):
        """Fills grad_x, grad_weight and grad_bias, each of which may be None, from grad_output, x and weight: all of
        them checked, and as the drivers see them. What no gradient needs may be None too: x is for grad_weight alone,
        weight for grad_x."""
        grad_output, x, weight = arrays
        grad_x, grad_weight, grad_bias = gradients
        empty = 0 in plan.problem.x_shape    # there are no images, or no channels
        if grad_x is not None and not empty:
            plan.data_gradient(grad_output, weight, grad_x)
        if grad_weight is not None and empty:
            grad_weight.fill(0)
        elif grad_weight is not None:
            plan.weight_gradient(self.record(x, grad_weight, None, grad_output, window))
        if grad_bias is not None and grad_output.size == 0:
            grad_bias.fill(0)
        elif grad_bias is not None:
            self.bias_gradient(grad_output, grad_bias)
