"""Sizes that several cost models need: how the drivers cut a problem into blocks and bands,
in Python (blocks.pxd, band.pyx)."""

import math
from typing import NamedTuple

MOST_TERMS = 2048    # of one channel that the direct sum takes: beyond that depthwise's sums of sums are more exact


def ceildiv(a, b):
    return -(-a // b)


class Blocks(NamedTuple):
    """Blocks of images x rows x columns of outputs, and how many there are."""

    images: int
    rows: int
    columns: int
    blocks: int


def block_pixels(images, rows, columns, pixels):
    """Blocks of about so many pixels: whole images, else whole rows of one image, else pieces of rows."""
    column_blocks = ceildiv(columns, 2 * pixels) if columns > 2 * pixels else 1
    of_columns = ceildiv(columns, column_blocks)
    column_blocks = ceildiv(columns, of_columns)
    of_rows = min(rows, max(1, pixels // of_columns))
    of_rows = ceildiv(rows, ceildiv(rows, of_rows))
    row_blocks, at_once = ceildiv(rows, of_rows), 1
    if row_blocks == column_blocks == 1:
        at_once = min(images, max(1, pixels // (rows * columns)))
        at_once = ceildiv(images, ceildiv(images, at_once))
    return Blocks(at_once, of_rows, of_columns, ceildiv(images, at_once) * row_blocks * column_blocks)


def band_axis(outputs, taps, stride, dilation):
    """Rows, or columns, of a band for so many outputs: in how many pieces they lie,
    and the elements of each (see band.pyx)."""
    if dilation > (outputs - 1) * stride:
        return taps, outputs
    return min(taps, stride // math.gcd(stride, dilation)), (taps - 1) * dilation // stride + outputs


def inside(problem):
    """Whether no tap meets padding."""
    return all(before == 0 and (outputs - 1) * stride + (taps - 1) * dilation < pixels
               for (before, _), outputs, stride, taps, dilation, pixels in zip(
                   problem.pads, problem.output_size, problem.stride, problem.taps, problem.dilation, problem.size))


def strides(problem):
    """Of rows and columns; where there is one output any step will do."""
    return tuple(1 if outputs == 1 else stride for outputs, stride in zip(problem.output_size, problem.stride))
