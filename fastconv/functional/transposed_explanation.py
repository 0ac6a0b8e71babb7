"""What a transposed convolution of given shapes will do: `explain` with transposed=True."""

from __future__ import annotations

from fastconv.functional import checks
from fastconv.functional.transposed import IMAGES, SIGNALS
from fastconv.functional.transposed_volumes import VOLUMES

TRANSPOSED = {1: SIGNALS, 2: IMAGES, 3: VOLUMES}  # by the axes beside N and C
AXES = {1: "L", 2: "HW", 3: "DHW"}
BESIDE = {"L": ("PL", "PR"), "D": ("PF", "PB"), "H": ("PT", "PB"), "W": ("PL", "PR")}  # names of uneven padding


def explained(sizes, batched, weight_shape, dtype, data_format, algorithm, options):
    """The fields of a ConvExplanation, for x of these sizes (N, C, ...);
    options: stride, padding, output_padding, output_size, dilation, groups."""
    axes = len(sizes) - 2
    kind = TRANSPOSED[axes]
    problem, result = kind.checked(sizes, weight_shape, *options, dtype, data_format)
    plan = kind.planned(problem, algorithm)
    for shape, name in ((sizes, "x"), (weight_shape, "weight")):
        checks.fits_memory(shape, dtype, name)
    stride, pads, dilation = problem.stride[-axes:], problem.pads[-axes:], problem.dilation[-axes:]
    return {
        "x_shape": checks.result_shape(sizes, data_format, batched),
        "weight_shape": weight_shape,
        "output_shape": checks.result_shape(result, data_format, batched),
        "stride": stride,
        "padding": pads,
        "dilation": dilation,
        "groups": problem.groups,
        "formula": tuple(_formula(*of_axis) for of_axis in zip(AXES[axes], sizes[2:], weight_shape[2:], stride, pads,
                                                               dilation, result[2:])),
        "algorithm": plan.algorithm,
        "reason": plan.reason,
        "driver": plan.driver.name,
        "candidates": plan.considered(),
        "flops": problem.flops,
        "bytes": problem.bytes,
        "workspace": plan.workspace(dtype),
    }


def _formula(axis, size, taps, stride, pads, dilation, outputs):
    """OH = (H - 1) S - 2P + FH + OP with its numbers; dilation, padding and output padding only where they act."""
    before, after = pads
    letters, distance = BESIDE[axis], "dilation" if axis == "D" else "D"
    terms, filled = [f"({axis} - 1) S"], [f"({size} - 1) * {stride}"]
    if before == after and before:
        terms, filled = [*terms, "- 2P"], [*filled, f"- 2*{before}"]
    elif before != after:
        terms, filled = [*terms, *(f"- {letter}" for letter in letters)], [*filled, f"- {before}", f"- {after}"]
    if dilation == 1:
        terms, filled = [*terms, f"+ F{axis}"], [*filled, f"+ {taps}"]
    else:
        terms, filled = [*terms, f"+ {distance} (F{axis} - 1) + 1"], [*filled, f"+ {dilation} * ({taps} - 1) + 1"]
    more = outputs - ((size - 1) * stride - before - after + dilation * (taps - 1) + 1)
    if more:
        terms, filled = [*terms, "+ OP"], [*filled, f"+ {more}"]
    return f"O{axis} = {' '.join(terms)} = {' '.join(filled)} = {outputs}"
