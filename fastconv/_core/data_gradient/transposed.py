"""The data gradient by Winograd's algorithm, transposed: see ``winograd/data_gradient.pyx``. The driver counts its costs."""

from fastconv._core.data_gradient.filters import in_groups
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.winograd import data_gradient as winograd

CALLS = 4    # as many passes have as much to do around them


def refuses(problem, driver):
    """Why the driver must not compute it, or None."""
    return driver.refuses(problem)


def convolutions(problem):
    return ((problem, 1),)


def terms(problem):
    return {"pass": CALLS}


def period(problem):
    """As phases.py's."""
    return problem.stride


class Transposed:
    """grad_x of a problem."""

    def __init__(self, problem, driver):
        self.window = Window(problem.stride, problem.dilation, problem.origin)

    def __call__(self, grad_output, weight, grad_x):
        """Fills grad_x (N, C, H, W), a view with any strides. Returns the images to which its rounding errors, or what is not
        finite, may have spread."""
        again = set()
        for of_output, turned, of_x in in_groups(grad_output, weight, grad_x):
            again.update(winograd.data_gradient(Convolution(of_output, turned, None, of_x, self.window)))
        return sorted(again)


lay_out = Transposed
