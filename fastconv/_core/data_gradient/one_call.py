"""The data gradient in one call of a driver that is made for it: ``winograd/data_gradient.pyx``,
``direct/data_gradient.pyx``. The driver counts its costs."""

from fastconv._core.data_gradient.filters import copied, in_groups, swap_channels, unbacked_swapped
from fastconv._core.problem.convolution import PLAIN, Convolution, Window


class OneCall:
    """The way by a module's data_gradient; reads_groups: which takes the weights of all groups as they lie."""

    def __init__(self, module, reads_groups=False):
        self.module, self.reads_groups = module, reads_groups

    def refuses(self, problem, driver):
        """Why the driver must not compute it, or None."""
        return driver.refuses(problem)

    def convolutions(self, problem):
        return ((problem, 1),)

    def terms(self, problem):
        return {"call": 1, "copied": 0 if self.reads_groups else copied(problem)}

    def period(self, problem):
        """Among so many first rows and columns there is one of each phase."""
        return problem.stride

    def lay_out(self, problem, driver):
        return ByOneCall(self.module, Window(problem.stride, problem.dilation, problem.origin),
                         None if self.reads_groups else swap_channels)


class ByOneCall:
    """grad_x of a problem."""

    def __init__(self, module, window, swap):
        self.module, self.window, self.swap = module, window, swap

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """Fills grad_x (N, C, H, W), a view with any strides. Returns the images that the driver leaves to others.

        prepared: what `prepare` made.
        """
        left = set()
        for i, (of_output, turned, of_x, of_bias) in enumerate(in_groups(grad_output, weight, grad_x, bias, self.swap)):
            conv = Convolution(of_output, turned, of_bias, of_x, self.window, epilogue)
            left.update(self.module.data_gradient(conv, prepared[i] if prepared else None))
        return sorted(left)

    def prepare(self, grad_output, weight, grad_x):
        """What the driver makes of the weights beforehand, for each part of the groups.
        Of the other arrays the shapes are enough."""
        return [self.module.prepare(Convolution(of_output, turned, None, of_x, self.window))
                for of_output, turned, of_x, _ in in_groups(grad_output, weight, grad_x, swap=self.swap)]

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time: the shapes are enough, there may be no memory behind them."""
        swap = None if self.swap is None else unbacked_swapped
        return max(self.module.workspace(Convolution(of_output, turned, None, of_x, self.window), False)
                   for of_output, turned, of_x, _ in in_groups(grad_output, weight, grad_x, swap=swap))
