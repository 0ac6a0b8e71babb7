"""What a transposed convolution of given shapes will do: `explain` with transposed=True."""

from __future__ import annotations

from fastconv.functional import checks
from fastconv.functional.transposed import IMAGES


def explained(x_shape, weight_shape, dtype, data_format, algorithm, options):
    """The fields of a ConvExplanation; options: stride, padding, output_padding, output_size, dilation, groups."""
    kind = IMAGES
    sizes, batched = checks.image_shape(x_shape, data_format, "x_shape")
    problem = kind.problem(sizes, weight_shape, *options, dtype, data_format)
    plan = kind.plan(problem, algorithm)
    for shape, name in ((sizes, "x"), (weight_shape, "weight")):
        checks.fits_memory(shape, dtype, name)
    candidates = tuple(plan.candidates())
    expected = sorted(nanoseconds for _, nanoseconds, _ in candidates if nanoseconds is not None)
    reason = "asked for by name" if algorithm != "auto" else "the data gradient of the convolution that leads back"
    if algorithm == "auto" and len(expected) > 1:
        reason += f"; the next best way is expected to take {expected[1] / expected[0]:.1f} times as long"
    return {
        "x_shape": checks.result_shape(sizes, data_format, batched),
        "weight_shape": weight_shape,
        "output_shape": checks.result_shape(problem.x_shape, data_format, batched),
        "stride": problem.stride,
        "padding": problem.pads,
        "dilation": problem.dilation,
        "groups": problem.groups,
        "formula": tuple(_formula(*of_axis) for of_axis in zip(
            "HW", sizes[2:], weight_shape[2:], problem.stride, problem.pads, problem.dilation, problem.x_shape[2:])),
        "algorithm": plan.algorithm,
        "reason": reason,
        "driver": plan.driver.name,
        "candidates": candidates,
        "flops": problem.flops,
        "bytes": problem.bytes,
        "workspace": plan.workspace(dtype),
    }


def _formula(axis, size, taps, stride, pads, dilation, outputs):
    """OH = (H - 1) S - 2P + FH + OP with its numbers; dilation, padding and output padding only where they act."""
    before, after = pads
    letters = ("PT", "PB") if axis == "H" else ("PL", "PR")
    terms, filled = [f"({axis} - 1) S"], [f"({size} - 1) * {stride}"]
    if before == after and before:
        terms, filled = [*terms, "- 2P"], [*filled, f"- 2*{before}"]
    elif before != after:
        terms, filled = [*terms, *(f"- {letter}" for letter in letters)], [*filled, f"- {before}", f"- {after}"]
    if dilation == 1:
        terms, filled = [*terms, f"+ F{axis}"], [*filled, f"+ {taps}"]
    else:
        terms, filled = [*terms, f"+ D (F{axis} - 1) + 1"], [*filled, f"+ {dilation} * ({taps} - 1) + 1"]
    more = outputs - ((size - 1) * stride - before - after + dilation * (taps - 1) + 1)
    if more:
        terms, filled = [*terms, "+ OP"], [*filled, f"+ {more}"]
    return f"O{axis} = {' '.join(terms)} = {' '.join(filled)} = {outputs}"
