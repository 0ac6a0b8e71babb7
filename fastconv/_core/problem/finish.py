"""What comes to a transposed convolution, a data gradient, beside its sums: a bias and an activation.

Drivers add them where they store; this is for what no driver stores so.
"""

import numpy as np

from fastconv._core.pointwise import elementwise


def finish(y, bias, epilogue):
    """Adds the bias to sums y (N, K, H, W), with any strides, and applies the activation, image by image."""
    if bias is None and not epilogue.activation:
        return
    for image in y:
        if bias is not None:
            image += bias[:, None, None]
        if epilogue.activation:
            _activate(image, epilogue)


def lay_ground(y, bias, epilogue):
    """What y is where no tap meets it: the activation of the bias alone."""
    ground = np.zeros(y.shape[1], y.dtype) if bias is None else bias.copy()
    if epilogue.activation:
        _activate(ground, epilogue)
    if ground.any():
        y[...] = ground[:, None, None]
    else:
        y.fill(0)


def _activate(y, epilogue):
    """In place, whatever the strides."""
    order = sorted(range(y.ndim), key=lambda axis: -abs(y.strides[axis]))
    follow = y.transpose(order)
    if follow.flags.c_contiguous:
        elementwise.activate_in_place(follow, epilogue.activation, epilogue.negative_slope)
    else:
        y[...] = elementwise.activation(y, epilogue.activation, epilogue.negative_slope)
