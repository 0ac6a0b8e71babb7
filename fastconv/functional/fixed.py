"""Convolution with weights that nobody changes: everything that can be made beforehand is made once.

What a call does is found by the form of x alone, and by the order in which the maps of a pass lie: the plan, what its
driver made of the weights, the form of the result. So a call is little more than a look into a table, and the driver.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastconv._core.planner.plan import ConvPlan, conv2d_plan
from fastconv._core.problem.convolution import Epilogue, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import memory
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import ConvCall, Convolutions
from fastconv.functional.rooms import Rooms, pixel_strides
from fastconv.functional.typing import Activation, Array

MOST_BYTES = 16 << 20    # of weights whose prepared form is kept: that of Winograd's algorithm is four times as large
MOST_CALLS = 64          # that are remembered, and
MOST_PREPARED = 4        # forms of the weights; if there are more, all are found anew


class FixedCall(NamedTuple):
    """What there is to do for arrays x of one form."""

    convolve: Any
    record: Any
    view: Any           # how the driver sees x and y, or None where as they are
    weight: Array
    window: Window
    epilogue: Epilogue
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None    # of y, where it lies with channels last
    size: int           # in bytes
    dtype: Any
    expected: tuple[float, float]    # nanoseconds, with maps as planes and with channels last
    prepared: tuple[Any, ...]
    rows: int           # of x
    # Computes a part of the rows to the same bits, with the same `prepared`, where maps lie with channels last;
    of_rows: Any        # or None

    def run(self, x: Array, bias: Array | None, rooms: Rooms | None) -> Array:
        """The convolution of x, in one of the rooms or in memory of its own."""
        if rooms is None:
            return self.fill(x, bias, memory.empty(self.shape, self.dtype))
        rooms.expect(*self.expected)
        return self.fill(x, bias, rooms.take(self.shape, self.dtype, self.size, self.strides))

    def fill(self, x: Array, bias: Array | None, y: Array) -> Array:
        """The convolution of x, in y."""
        seen, filled = (x, y) if self.view is None else (self.view(x), self.view(y))
        self.convolve(self.record(seen, self.weight, bias, filled, self.window, self.epilogue), *self.prepared)
        return y


class FixedWeights:
    """Weights that nobody changes, for convolutions with these options, in the order of the forward function.

    replan: whether the driver is chosen anew, as one that need not prepare the weights; else results have the bits of
    the forward function, but in a pass with channels last.
    """

    def __init__(self, convolutions: Convolutions, options: tuple[Any, ...], weight: Array, replan: bool) -> None:
        self.weight = weight
        self._convolutions, self._options, self._replan = convolutions, options, replan
        self._calls: dict[Any, FixedCall | ConvCall] = {}
        self._prepared: dict[Any, tuple[Any, ...]] = {}

    def convolve(self, x: Any, bias: Array | None, activation: Activation | None, rooms: Rooms | None) -> Array:
        """The convolution of x, which is a plain array as the bias is."""
        call = self.found(x, bias, activation, rooms)
        if isinstance(call, FixedCall):
            return call.run(x, bias, rooms)
        result: Array = call.run(x, self.weight, bias, None)
        return result

    def found(self, x: Any, bias: Array | None, activation: Activation | None,
              rooms: Rooms | None) -> FixedCall | ConvCall:
        """The call for such x."""
        channels_last = rooms is not None and rooms.channels_last
        key = x.shape, x.strides, x.itemsize, None if bias is None else bias.shape, activation, channels_last
        call = self._calls.get(key)
        if call is None:
            call = self._find(x, bias, activation, channels_last)
            if len(self._calls) >= MOST_CALLS:
                self._calls.clear()
            self._calls[key] = call
        return call

    def once(self, x: Array, bias: Array | None, activation: Activation | None, rooms: Rooms) -> Array:
        """The same to the same bits, for who may not come again: nothing is kept."""
        call = self._find(x, bias, activation, rooms.channels_last, False)
        if isinstance(call, FixedCall):
            return call.run(x, bias, rooms)
        result: Array = call.run(x, self.weight, bias, None)
        return result

    def _find(self, x: Array, bias: Array | None, activation: Activation | None, channels_last: bool,
              prepare: bool = True) -> FixedCall | ConvCall:
        find: Any = self._convolutions.find_call
        call, *_ = find(x, self.weight, bias, *self._options, activation)
        if call.empty:
            return call
        plan, expected = call.plan, (0.0, 0.0)
        channels_last = channels_last and self._convolutions is IMAGES and call.view is None
        if self._convolutions is IMAGES:
            # Images that come as pixels of channels stay so, whatever the order of the others is.
            orders = (False, True) if call.view is None else (plan.problem.channels_last,) * 2
            plans = [_replanned(plan.problem, order) for order in orders]
            expected = plans[0].nanoseconds or 0.0, plans[1].nanoseconds or 0.0
            plan = plans[channels_last] if self._replan or channels_last else plan
        weight = self.weight if call.filters is None or call.view is None else call.filters(self.weight)
        strides = None
        if channels_last:
            strides = pixel_strides(call.shape, call.dtype.itemsize)
        return FixedCall(plan.convolve, call.record, call.view, weight, call.window, call.epilogue, call.shape,
                         strides, math.prod(call.shape) * call.dtype.itemsize, call.dtype, expected,
                         self._prepare(plan, weight) if prepare else (), plan.problem.size[0],
                         plan.of_rows if channels_last else None)

    def _prepare(self, plan: Any, weight: Array) -> tuple[Any, ...]:
        """What a plan's driver makes of the weights: of some drivers that depends on the form of x."""
        if weight.nbytes > MOST_BYTES:
            return ()
        form = plan.convolve if plan.keeps_weights() else plan
        prepared = self._prepared.get(form)
        if prepared is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._calls.clear()
                self._prepared.clear()
            prepared = self._prepared[form] = plan.prepare(weight)
        return prepared


def _replanned(problem: ConvProblem, channels_last: bool) -> ConvPlan:
    """The plan for weights that are prepared beforehand, if they are not too large, and maps in this order."""
    prepared = math.prod(problem.weight_shape) * problem.itemsize <= MOST_BYTES
    return conv2d_plan(problem._replace(channels_last=channels_last, prepared=prepared), "auto")
