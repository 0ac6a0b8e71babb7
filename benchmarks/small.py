"""Calls so small that the way to the loops is most of their time."""

from __future__ import annotations

from typing import Any, NamedTuple


class SmallCall(NamedTuple):
    """A public function, the shapes of its arrays, and its other arguments,
    which PyTorch's function of that name takes too."""

    title: str
    function: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = {}


SMALL = {
    "conv2d": SmallCall("`conv2d`, a 3 x 3 filter on 8 x 8 pixels", "conv2d", ((1, 1, 8, 8), (1, 1, 3, 3))),
    "conv2d-plan": SmallCall("the same through `plan_conv2d`, with `out=`", "plan_conv2d",
                             ((1, 1, 8, 8), (1, 1, 3, 3))),
    "conv2d-padded": SmallCall("`conv2d`, a 3 x 3 filter on 8 x 8 pixels, with bias and padding", "conv2d",
                               ((1, 1, 8, 8), (1, 1, 3, 3), (1,)), {"padding": 1}),
    "conv2d-3-8": SmallCall("`conv2d`, 8 filters of 3 x 3 on 3 channels of 8 x 8", "conv2d",
                            ((1, 3, 8, 8), (8, 3, 3, 3))),
    "conv2d-8-8": SmallCall("`conv2d`, 8 filters of 3 x 3 on 8 channels of 8 x 8, with bias and padding", "conv2d",
                            ((1, 8, 8, 8), (8, 8, 3, 3), (8,)), {"padding": 1}),
    "conv2d-1x1": SmallCall("`conv2d`, 16 filters of 1 x 1 on 16 channels of 4 x 4", "conv2d",
                            ((1, 16, 4, 4), (16, 16, 1, 1))),
    "linear-128": SmallCall("`linear`, one row of 128 features to 10", "linear", ((1, 128), (10, 128), (10,))),
    "linear-3136": SmallCall("`linear`, one row of 3136 features to 128", "linear", ((1, 3136), (128, 3136), (128,))),
    "max_pool2d": SmallCall("`max_pool2d` of 8 x 8 pixels", "max_pool2d", ((1, 1, 8, 8),), {"kernel_size": 2}),
    "avg_pool2d": SmallCall("`avg_pool2d` of 8 x 8 pixels", "avg_pool2d", ((1, 1, 8, 8),), {"kernel_size": 2}),
    "relu": SmallCall("`relu` of 64 numbers", "relu", ((64,),)),
    "sigmoid": SmallCall("`sigmoid` of 64 numbers", "sigmoid", ((64,),)),
    "log_softmax": SmallCall("`log_softmax` of 10 numbers", "log_softmax", ((1, 10),)),
}
