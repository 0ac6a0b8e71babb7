"""Numerical derivatives, for any function of an array."""

import numpy as np


def numeric_gradient(function, x, step=1e-6):
    """The gradient of the number `function()` with respect to the array `x`, which is changed and put back: central
    differences, float64."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        value = x[index]
        x[index] = value + step
        above = function()
        x[index] = value - step
        below = function()
        x[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient
