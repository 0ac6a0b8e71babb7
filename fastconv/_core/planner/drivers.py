"""The drivers that the planner chooses from, in order, and what it asks of each.

A new driver is one entry in FORWARD: its module has conv2d(convolution), workspace(convolution, alone) and,
where its entry says that it prepares weights, prepare(convolution), the result of which its conv2d takes as a second
argument; its cost module has

    refuses(problem)                 why the planner must not take it, or None
    terms(problem, lanes, tile_rows) how often its loops do what takes time, by name

and planner/constants.py has the nanoseconds of each of these, which ``python -m benchmarks.calibrate`` measures.
A driver that can add to y, as an Epilogue may ask, says so in its entry; others are passed over where that is wanted.
Where it adds, its conv2d may return rows of y, (image, first, last + 1), that the caller must compute anew, with all
that was added to them: those that a transform may not be trusted with.

Weight gradients are chosen in the same way, from WEIGHT_GRADIENT: such a module has conv2d_weight_gradient(convolution)
and gradient_workspace(convolution, alone), its costs are in gradient_cost.py, its constants in the second
table of planner/constants.py.

Data gradients are chosen from DATA_GRADIENT: pairs of a way (data_gradient/) and the driver that computes
its convolutions. A way has

    refuses(problem, driver)         why the planner must not take it with that driver, or None
    convolutions(problem)            what the driver computes: pairs (problem, how often)
    terms(problem)                   what is done beside that, by name
    period(problem)                  among so many first rows and columns of grad_x there is a pixel that meets each
                                     tap, be it on padding; None where no tap meets padding
    lay_out(problem, driver)         a door: called with grad_output, weight and grad_x, and what a transposed
                                     convolution has beside them (a bias, an Epilogue, prepared weights), it fills
                                     grad_x and returns the images that it leaves to a driver behind it in the list;
                                     its prepare(grad_output, weight, grad_x) makes what can be made of the weights
                                     beforehand, or nothing, its workspace counts the bytes of scratch
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from fastconv._core.batch import cost as batch_cost, forward as batch
from fastconv._core.data_gradient import as_pixels, columns, one_output as one_output_gradient, pairs, phases
from fastconv._core.data_gradient.one_call import OneCall
from fastconv._core.data_gradient.subpixel import Subpixel
from fastconv._core.data_gradient.wide import Wide
from fastconv._core.depthwise import (
    cost as depthwise_cost,
    forward as depthwise,
    gradient_cost as depthwise_gradient_cost,
    weight_gradient as depthwise_gradient,
)
from fastconv._core.direct import (
    cost as direct_cost,
    data_gradient as direct_data_gradient,
    data_gradient_cost as direct_data_gradient_cost,
    forward as direct,
    gradient_cost as direct_gradient_cost,
    pixel_gradient,
    pixel_gradient_cost,
    plane_gradient,
    plane_gradient_cost,
    weight_gradient as direct_gradient,
)
from fastconv._core.fourier import cost as fourier_cost, forward as fourier
from fastconv._core.planner.constants import (
    CONSTANTS,
    DATA_GRADIENT_CONSTANTS,
    FILTERS,
    PREPARED,
    WEIGHT_GRADIENT_CONSTANTS,
)
from fastconv._core.problem import parts
from fastconv._core.product import (
    columns_cost,
    cost as product_cost,
    few_outputs,
    few_outputs_cost,
    forward as product,
    gradient_cost as product_gradient_cost,
    one_output_cost,
    rows,
    rows_cost,
    weight_gradient as product_gradient,
)
from fastconv._core.runtime import isa
from fastconv._core.winograd import (
    cost as winograd_cost,
    data_gradient as winograd_data_gradient,
    data_gradient_cost as winograd_data_gradient_cost,
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
    transforms: bool = False       # whether its error depends on the contrast of the data, and it looks at that
    prepares: bool = False         # whether it can make something of the weights beforehand,
    # For which it pays to know, call by call, whether they are still the same: see ConvPlan.
    keeps_weights: bool = False
    as_it_is: bool = False         # whether it takes a problem as it is, and not in its simpler form
    accumulates: bool = False      # whether it can add to y
    any_contrast: bool = False     # whether it transforms whatever the contrast of the data
    # Says of a problem whether an output is added up in one order, in whatever part of an image; None: never.
    by_rows: Callable | None = None

    @property
    def conv2d(self) -> Callable:
        return functools.partial(self.module.conv2d, any_contrast=True) if self.any_contrast else self.module.conv2d

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

    def prepared(self, conv) -> tuple:
        """What it makes of the weights beforehand, as a tuple for its conv2d;
        empty where it uses them as they are, or in parts."""
        return (self.module.prepare(conv),) if self.prepares and parts.fits(self.module.workspace, conv) else ()


class GradientDriver(NamedTuple):
    """One way to compute the gradient of the weights."""

    name: str
    module: ModuleType
    costs: ModuleType
    transforms: bool = False       # as a Driver's

    @property
    def conv2d_weight_gradient(self) -> Callable:
        return self.module.conv2d_weight_gradient

    def refuses(self, problem) -> str | None:
        return self.costs.refuses(problem)

    def cost(self, problem) -> float:
        """The expected nanoseconds on one thread."""
        return _expected(WEIGHT_GRADIENT_CONSTANTS, self, problem)


class DataGradientDriver(NamedTuple):
    """One way to compute grad_x, with the driver that its convolutions go to."""

    name: str
    way: Any
    by: Driver

    def refuses(self, problem) -> str | None:
        return self.way.refuses(problem, self.by)

    def cost(self, problem) -> float:
        """The expected nanoseconds on one thread."""
        constants = constants_of(DATA_GRADIENT_CONSTANTS, problem.itemsize)
        return sum(constants.get(name, 0.0) * count for name, count in self.terms(problem).items())

    def terms(self, problem) -> dict[str, float]:
        """How often it does what takes time: under its own name the nanoseconds of its convolutions."""
        of_driver = sum(count * self.by.cost(each) for each, count in self.way.convolutions(problem))
        return {self.name: of_driver, **self.way.terms(problem)}

    def lay_out(self, problem) -> Callable:
        return self.way.lay_out(problem, self.by)


def constants_of(tables, itemsize):
    """Those of the instruction set in use, on processors like this; one that is not there is taken for the baseline."""
    return next(tables[name][itemsize] for name in (*isa.costs(), "baseline") if itemsize in tables.get(name, ()))


def _expected(tables, driver, problem):
    constants = constants_of(tables, problem.itemsize)[driver.name]
    terms = driver.costs.terms(problem, *isa.tile(problem.itemsize))
    if problem.prepared:
        terms = {name: PREPARED * count if name in FILTERS else count for name, count in terms.items()}
    return sum(constants.get(name, 0.0) * count for name, count in terms.items())


FEW_OUTPUTS = Driver("few outputs", "gemm", few_outputs, few_outputs_cost,
                     "few outputs a filter: filters are read once, as they lie", as_it_is=True)
ROWS = Driver("rows", "gemm", rows, rows_cost, "one channel under filters of one row: pixels are read as they lie")
DEPTHWISE = Driver("depthwise", "direct", depthwise, depthwise_cost,
                   "one input channel a group: no sum over channels, neighbouring pixels fill the vectors",
                   by_rows=depthwise_cost.slides)
DIRECT = Driver("direct", "direct", direct, direct_cost, "filters fill the vectors", prepares=True, accumulates=True,
                by_rows=lambda problem: True)
IMAGES = Driver("images", "direct", batch, batch_cost, "images fill the vectors: there are many, and few filters")
WINOGRAD = Driver("winograd", "winograd", winograd, winograd_cost,
                  "fewer products a tile of 4 x 4 outputs than the sum has", transforms=True, prepares=True,
                  keeps_weights=True, accumulates=True)
FOURIER = Driver("fourier", "fft", fourier, fourier_cost, "Fourier transforms of tiles", transforms=True, prepares=True)
PRODUCT = Driver("product", "gemm", product, product_cost,
                 "the implicit matrix product, neighbouring pixels fill the vectors", prepares=True, accumulates=True)

MANY_OUTPUTS = (DEPTHWISE, DIRECT, IMAGES, WINOGRAD, FOURIER, PRODUCT)
FORWARD = (FEW_OUTPUTS, ROWS, *MANY_OUTPUTS)

WEIGHT_GRADIENT = (
    GradientDriver("depthwise", depthwise_gradient, depthwise_gradient_cost),
    GradientDriver("direct", direct_gradient, direct_gradient_cost),
    GradientDriver("pixels", pixel_gradient, pixel_gradient_cost),
    GradientDriver("planes", plane_gradient, plane_gradient_cost),
    GradientDriver("winograd", winograd_gradient, winograd_gradient_cost, transforms=True),
    GradientDriver("product", product_gradient, product_gradient_cost),
)

DATA_GRADIENT = (
    DataGradientDriver("one output", one_output_gradient, FEW_OUTPUTS._replace(costs=one_output_cost)),
    DataGradientDriver("columns", columns, PRODUCT._replace(costs=columns_cost, as_it_is=True)),
    *(DataGradientDriver(f"pixels of a row as channels, {pixels}", Wide(pixels), DIRECT) for pixels in (2, 4, 8)),
    *(DataGradientDriver(f"patches, {driver.name}", Subpixel(), driver) for driver in MANY_OUTPUTS),
    *(DataGradientDriver(f"patches filled up to {taps} x {taps} taps, winograd", Subpixel(taps), WINOGRAD)
      for taps in (3, 5)),
    DataGradientDriver("winograd, transposed", OneCall(winograd_data_gradient),
                       WINOGRAD._replace(costs=winograd_data_gradient_cost)),
    DataGradientDriver("direct, all phases", OneCall(direct_data_gradient, reads_groups=True),
                       DIRECT._replace(costs=direct_data_gradient_cost)),
    DataGradientDriver("planes as pixels, depthwise", as_pixels, DEPTHWISE),
    DataGradientDriver("pairs of columns, depthwise", pairs, DEPTHWISE),
    *(DataGradientDriver(f"phases, {driver.name}", phases, driver) for driver in MANY_OUTPUTS),
)
