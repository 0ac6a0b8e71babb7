"""The drivers that the planner chooses from, in order, and what it asks of each.

A new driver is one entry in FORWARD: its module has conv2d(convolution), workspace(convolution, alone) and, where it can make something
of the weights beforehand, prepare(convolution); its cost module has

    refuses(problem)                 why the planner must not take it, or None
    terms(problem, lanes, tile_rows) how often its loops do what takes time, by name

and planner/constants.py has the nanoseconds of each of these, which ``python -m benchmarks.calibrate`` measures. A driver that can add to
y, as an Epilogue may ask, says so in its entry; others are passed over where that is wanted.

Weight gradients are chosen in the same way, from WEIGHT_GRADIENT: such a module has conv2d_weight_gradient(convolution) and
gradient_workspace(convolution, alone), its costs are in gradient_cost.py, its constants in planner/gradient_constants.py.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from fastconv._core.depthwise import (
    cost as depthwise_cost,
    forward as depthwise,
    gradient_cost as depthwise_gradient_cost,
    weight_gradient as depthwise_gradient,
)
from fastconv._core.direct import (
    cost as direct_cost,
    forward as direct,
    gradient_cost as direct_gradient_cost,
    pixel_gradient,
    pixel_gradient_cost,
    weight_gradient as direct_gradient,
)
from fastconv._core.fourier import cost as fourier_cost, forward as fourier
from fastconv._core.planner.constants import CONSTANTS
from fastconv._core.planner.gradient_constants import GRADIENT_CONSTANTS
from fastconv._core.product import (
    cost as product_cost,
    forward as product,
    gradient_cost as product_gradient_cost,
    one_output,
    one_output_cost,
    weight_gradient as product_gradient,
)
from fastconv._core.runtime import isa
from fastconv._core.winograd import (
    cost as winograd_cost,
    forward as winograd,
    gradient_cost as winograd_gradient_cost,
    weight_gradient as winograd_gradient,
)


class Driver(NamedTuple):
    """One way to compute y, or the data gradient."""

    name: str          # the true path, as explain prints it
    algorithm: str     # by which it is asked for
    module: ModuleType
    costs: ModuleType
    about: str         # what is peculiar to it
    transforms: bool = False    # whether its error depends on the contrast of the data, and it looks at that
    accumulates: bool = False   # whether it can add to y

    @property
    def conv2d(self) -> Callable:
        return self.module.conv2d

    @property
    def as_named(self) -> Callable:
        """conv2d of who asked for it by name: a transform is then used whatever the contrast of the data."""
        return functools.partial(self.conv2d, any_contrast=True) if self.transforms else self.conv2d

    def refuses(self, problem) -> str | None:
        if problem.accumulate and not self.accumulates:
            return "it writes y, and cannot add to it"
        return self.costs.refuses(problem)

    def cost(self, problem) -> float:
        """The expected nanoseconds on one thread."""
        return _expected(CONSTANTS, self, problem)


class GradientDriver(NamedTuple):
    """One way to compute the gradient of the weights."""

    name: str
    module: ModuleType
    costs: ModuleType

    @property
    def conv2d_weight_gradient(self) -> Callable:
        return self.module.conv2d_weight_gradient

    def refuses(self, problem) -> str | None:
        return self.costs.refuses(problem)

    def cost(self, problem) -> float:
        """The expected nanoseconds on one thread."""
        return _expected(GRADIENT_CONSTANTS, self, problem)


def _expected(tables, driver, problem):
    constants = tables.get(isa.in_use(), tables["baseline"])[problem.itemsize][driver.name]
    return sum(constants.get(name, 0.0) * count for name, count in driver.costs.terms(problem, *isa.tile(problem.itemsize)).items())


ONE_OUTPUT = Driver("one output", "gemm", one_output, one_output_cost,
                    "one output a filter and few images: filters are read once, as they lie")
DEPTHWISE = Driver("depthwise", "direct", depthwise, depthwise_cost,
                   "one input channel a group: no sum over channels, neighbouring pixels fill the vectors")
DIRECT = Driver("direct", "direct", direct, direct_cost, "filters fill the vectors", accumulates=True)
WINOGRAD = Driver("winograd", "winograd", winograd, winograd_cost, "fewer products a tile of 4 x 4 outputs than the sum has", True)
FOURIER = Driver("fourier", "fft", fourier, fourier_cost, "Fourier transforms of tiles", True)
PRODUCT = Driver("product", "gemm", product, product_cost, "the implicit matrix product, neighbouring pixels fill the vectors",
                 accumulates=True)

FORWARD = (ONE_OUTPUT, DEPTHWISE, DIRECT, WINOGRAD, FOURIER, PRODUCT)

WEIGHT_GRADIENT = (
    GradientDriver("depthwise", depthwise_gradient, depthwise_gradient_cost),
    GradientDriver("direct", direct_gradient, direct_gradient_cost),
    GradientDriver("pixels", pixel_gradient, pixel_gradient_cost),
    GradientDriver("winograd", winograd_gradient, winograd_gradient_cost),
    GradientDriver("product", product_gradient, product_gradient_cost),
)
