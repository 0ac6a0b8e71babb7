"""Convolution with weights that nobody changes: everything that can be made beforehand is made once.

What a call does is found by the form of x alone: the plan, what its driver made of the weights, the form of the result.
So a call is little more than a look into a table, and the driver.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastconv._core.planner.plan import ConvPlan, conv2d_plan
from fastconv._core.problem.convolution import Epilogue, Window
from fastconv._core.runtime import memory
from fastconv.functional.convolution import ConvCall, Convolutions
from fastconv.functional.rooms import Rooms
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
    size: int           # in bytes
    dtype: Any
    prepared: tuple[Any, ...]

    def run(self, x: Array, bias: Array | None, rooms: Rooms | None) -> Array:
        """The convolution of x, in one of the rooms or in memory of its own."""
        y = memory.empty(self.shape, self.dtype) if rooms is None else rooms.take(self.shape, self.dtype, self.size)
        seen, filled = (x, y) if self.view is None else (self.view(x), self.view(y))
        self.convolve(self.record(seen, self.weight, bias, filled, self.window, self.epilogue), *self.prepared)
        return y


class FixedWeights:
    """Weights that nobody changes, for convolutions with these options, in the order of the forward function.

    replan: whether the driver is chosen anew, as one that need not prepare the weights; else results have the bits of
    the forward function.
    """

    def __init__(self, convolutions: Convolutions, options: tuple[Any, ...], weight: Array, replan: bool) -> None:
        self.weight = weight
        self._convolutions, self._options, self._replan = convolutions, options, replan
        self._calls: dict[Any, FixedCall | ConvCall] = {}
        self._prepared: dict[Any, tuple[Any, ...]] = {}

    def convolve(self, x: Any, bias: Array | None, activation: Activation | None, rooms: Rooms | None) -> Array:
        """The convolution of x, which is a plain array as the bias is."""
        key = x.shape, x.strides, x.itemsize, None if bias is None else bias.shape, activation
        call = self._calls.get(key)
        if call is None:
            call = self._find(x, bias, activation)
            if len(self._calls) >= MOST_CALLS:
                self._calls.clear()
            self._calls[key] = call
        if isinstance(call, FixedCall):
            return call.run(x, bias, rooms)
        result: Array = call.run(x, self.weight, bias, None)
        return result

    def _find(self, x: Array, bias: Array | None, activation: Activation | None) -> FixedCall | ConvCall:
        find: Any = self._convolutions.find_call
        call, *_ = find(x, self.weight, bias, *self._options, activation)
        if call.empty:
            return call
        plan = _replanned(call.plan) if self._replan else call.plan
        weight = self.weight if call.filters is None or call.view is None else call.filters(self.weight)
        return FixedCall(plan.convolve, call.record, call.view, weight, call.window, call.epilogue, call.shape,
                         math.prod(call.shape) * call.dtype.itemsize, call.dtype, self._prepare(plan, weight))

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


def _replanned(plan: ConvPlan) -> ConvPlan:
    """The plan for weights that are prepared beforehand."""
    if math.prod(plan.problem.weight_shape) * plan.problem.itemsize > MOST_BYTES:
        return plan
    return conv2d_plan(plan.problem._replace(prepared=True), "auto")
