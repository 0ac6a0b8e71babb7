"""What a convolution by Fourier transforms costs: layout.py works it out,
with its own constants of NumPy's transforms."""

from fastconv._core.fourier.layout import FourierSizes, expected_time

FEWEST_TAPS = 49  # fewer never pay
MOVED = 3.0       # nanoseconds of a pixel of each plane, in and out, at least
SUMMED = 55.0     # multiplications and additions a nanosecond of a sum in single precision, at most


def refuses(problem):
    """Why it is not worth while to look for a layout, which takes a millisecond."""
    r, s = problem.taps
    if r * s < FEWEST_TAPS:
        return f"filters of {r} x {s} have fewer than {FEWEST_TAPS} taps"
    if (MOVED * (problem.channels + problem.filters)
            > problem.channels * problem.filters * r * s / SUMMED * problem.itemsize / 4):
        return "to move the pixels through transforms takes longer than the sum"
    return None


def terms(problem, lanes, tile_rows):
    """The expected nanoseconds, of which the constant is a factor."""
    sizes = FourierSizes(problem.images, problem.groups, problem.channels, problem.filters, problem.taps,
                         problem.output_size, problem.stride, problem.dilation, problem.itemsize)
    return {"transforms": expected_time(sizes)}
