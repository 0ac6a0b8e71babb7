"""Outputs of a convolution by the taps that they meet.

Where taps lie far apart, as with a large dilation, or planes are small, whole stretches of rows or columns of outputs
meet constant padding with the same taps. In one dimension output i meets with tap r what lies at i S + r D - P, so tap
r meets pixels in one interval of outputs, and the taps of an output follow each other. Cut where one of these intervals
begins or ends, a convolution is a few that each meet pixels with all taps but for some that are idle in all of their
outputs, which simpler.py leaves out.
"""

import itertools

MOST_INTERVALS = 3      # of an axis: more are cut too small
MOST_SHARE = 0.7        # of all products with taps, of those that meet pixels: above it is not worth while


def regions(problem):
    """The rows and columns of outputs, as slices, of the convolutions that a problem is cut into,
    the largest first; none where it does not pay."""
    if problem.padding_mode != "constant":
        return []
    axes = [_intervals(*of_axis) for of_axis in zip(problem.size, problem.output_size, problem.taps, problem.stride,
                                                    problem.origin, problem.dilation)]
    axes = [axis if len(axis) <= MOST_INTERVALS else [(slice(0, outputs), taps)]
            for axis, outputs, taps in zip(axes, problem.output_size, problem.taps)]
    cut = [((rows, columns), (rows.stop - rows.start) * row_taps * (columns.stop - columns.start) * column_taps)
           for (rows, row_taps), (columns, column_taps) in itertools.product(*axes)]
    outputs, taps = problem.output_size, problem.taps
    if len(cut) == 1 or sum(share for _, share in cut) > MOST_SHARE * outputs[0] * outputs[1] * taps[0] * taps[1]:
        return []
    return [region for region, _ in sorted(cut, key=lambda each: -each[1])]


def of_outputs(problem, rows, columns):
    """The problem that computes these outputs alone."""
    pads = []
    for some, size, taps, stride, before, dilation in zip((rows, columns), problem.size, problem.taps, problem.stride,
                                                          problem.origin, problem.dilation):
        first = before - some.start * stride
        pads.append((first, (some.stop - some.start - 1) * stride + (taps - 1) * dilation + 1 - size - first))
    return problem._replace(pads=tuple(pads), output_size=(rows.stop - rows.start, columns.stop - columns.start))


def _intervals(size, outputs, taps, stride, before, dilation):
    """Outputs that meet pixels with the same taps, and how many of these there are."""
    if taps > 2 * MOST_INTERVALS:    # each of them begins and ends somewhere
        return [(slice(0, outputs), taps)]
    met = [(max(0, -((at - before) // stride)), min(outputs, (size - 1 + before - at) // stride + 1))
           for at in range(0, taps * dilation, dilation)]
    cuts = sorted({0, outputs, *(cut for interval in met for cut in interval if 0 < cut < outputs)})
    return [(slice(first, last), max(1, sum(begin <= first < end for begin, end in met)))
            for first, last in itertools.pairwise(cuts)]
