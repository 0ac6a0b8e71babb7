"""The gradients of the weights and of the bias, by those of planes, which are added up in a fixed order."""

import numpy as np

from fastconv._core.planner.doors import in_parts
from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.pointwise import bias_gradient as of_images
from fastconv._core.problem.convolution import Convolution
from fastconv._core.problem.simpler import joined
from fastconv._core.runtime import memory
from fastconv._core.volume.forward import CALL_NANOSECONDS, planes_of, planes_of_items
from fastconv._core.volume.planes import planes_met

ADD_NANOSECONDS = 0.7    # a number, from the scratch to grad_weight


def weight_gradient(problem, volumes):
    """Fills w with grad_weight, where y is grad_output: tap by tap along the depth, and plane by plane, or item by
    item, whichever are fewer."""
    whole = volumes.window.padding_value != 0
    if not whole and problem.padding_mode == "constant":
        sums = np.empty(len(volumes.w), volumes.w.dtype)
        bias_gradient(volumes.y, sums)
        whole = not np.isfinite(sums).all()
    of_items = problem.output_size[0] < len(volumes.x)
    for tap in range(problem.taps[0]):
        gradient, begun = volumes.w[:, :, tap], False
        for step in planes_met(problem, tap, whole):
            plan = _planned(problem, step, of_items)
            for x, y in _images(step, volumes, of_items):
                add_weight_gradient(plan, Convolution(x, gradient, None, y, volumes.window.planes), problem.groups,
                                    begun)
                begun = True
        if not begun:
            gradient.fill(0)


def gradient_cost(problem):
    """The nanoseconds that this is expected to take on one thread."""
    items, of_items = problem.x_shape[0], problem.output_size[0] < problem.x_shape[0]
    of_tap = np.prod(problem.weight_shape) / problem.taps[0] * ADD_NANOSECONDS + CALL_NANOSECONDS
    cost = 0.0
    for tap in range(problem.taps[0]):
        for step in planes_met(problem, tap, False):
            plan = _planned(problem, step, of_items)
            cost += (step.last - step.first if of_items else items) * (
                plan.weight_gradient_driver.cost(plan.problem) + of_tap)
    return cost


def _planned(problem, step, of_items):
    return conv2d_plan(problem.planes(problem.x_shape[0] if of_items else step.last - step.first), "auto")


def add_weight_gradient(plan, conv, groups, begun=True):
    """That of images by their plan, by way of a scratch of some filters; it is added to w, or written there."""
    for part in in_parts(conv, groups):
        share = memory.scratch(part.w.nbytes).view(part.w.dtype).reshape(part.w.shape)
        plan.weight_gradient(part.of(w=share))
        if begun:
            with np.errstate(invalid="ignore", over="ignore"):
                part.w[...] += share
        else:
            np.copyto(part.w, share)


def _images(step, volumes, of_items):
    """What a step meets, and where it goes: pairs of images."""
    if of_items:
        yield from planes_of_items(step, volumes)
        return
    for x, y in zip(volumes.x, volumes.y):
        yield (planes_of(x.swapaxes(0, 1), step, volumes.window.padding_value),
               y.swapaxes(0, 1)[step.first:step.last])


def bias_gradient(grad_output, grad_bias):
    """grad_bias[k] = the sum of grad_output (N, K, OD, OH, OW), with any strides, over items and pixels."""
    for first in (3, 2):
        view = joined(grad_output, first, first + 1)
        if view is not None:
            of_images.bias_gradient(view, grad_bias)
            return
    grad_bias.fill(0)
    one = np.empty_like(grad_bias)
    for plane in range(grad_output.shape[2]):
        of_images.bias_gradient(grad_output[:, :, plane], one)
        with np.errstate(invalid="ignore", over="ignore"):
            grad_bias += one
