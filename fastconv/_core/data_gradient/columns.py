"""The data gradient of few pixels, from filters as they lie: see ``product/columns.pyx``.
The driver counts its costs."""

from fastconv._core.data_gradient.one_output import (
    convolutions as convolutions,
    period as period,
    refuses as refuses,
)
from fastconv._core.problem.convolution import PLAIN, Convolution, Window
from fastconv._core.product import columns


def terms(problem):
    """What is done beside that."""
    return {"pass": 1}


class ByColumns:
    """grad_x of a problem."""

    def __init__(self, problem, driver):
        self.window = Window(problem.stride, problem.dilation, problem.origin)

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """Fills grad_x (N, C, H, W), a view with any strides; or returns all images, where filters do not lie in one
        piece."""
        if not weight.flags.c_contiguous:
            return range(len(grad_x))
        columns.data_gradient(Convolution(grad_output, weight.swapaxes(0, 1), bias, grad_x, self.window, epilogue))
        return ()

    def prepare(self, grad_output, weight, grad_x):
        """Nothing: weights are read once, as they lie."""
        return ()

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time."""
        return columns.workspace(Convolution(grad_output, weight.swapaxes(0, 1), None, grad_x, self.window), False)


lay_out = ByColumns
