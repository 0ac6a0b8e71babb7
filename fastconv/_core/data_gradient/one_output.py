"""The data gradient of one output a filter, of few images: see ``product/one_output.py``.
The driver counts its costs."""

from fastconv._core.problem.finish import finish
from fastconv._core.problem.convolution import PLAIN, Window
from fastconv._core.product import one_output


def refuses(problem, driver):
    """Why the driver must not compute it, or None."""
    return driver.refuses(problem)


def convolutions(problem):
    return ((problem, 1),)


def terms(problem):
    return {}


def period(problem):
    """None: no tap meets padding."""


class OneOutput:
    """grad_x of a problem."""

    def __init__(self, problem, driver):
        self.window = Window(problem.stride, problem.dilation, problem.origin)

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=None):
        """Fills grad_x (N, C, H, W), a view with any strides; or returns all images,
        where filters do not lie in one piece."""
        if not weight.flags.c_contiguous:
            return range(len(grad_x))
        one_output.data_gradient(grad_output, weight, grad_x, self.window)
        finish(grad_x, bias, epilogue)
        return ()

    def prepare(self, grad_output, weight, grad_x):
        """Nothing: weights are read once, as they lie."""

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time, beside what a product of few rows takes."""
        return len(grad_x) * weight[0].nbytes


lay_out = OneOutput
