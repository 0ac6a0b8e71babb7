"""X of the driver with channels in the lanes: the input of a block of outputs, with its padding,
in steps that threads can share."""

from cython cimport floating

from fastconv._core.problem.band cimport Band, axis, fill, layout
from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, lane_band
from fastconv._core.problem.problem cimport ceildiv


cdef inline Py_ssize_t input_rows(const Problem *p, const PixelBlock *block) noexcept nogil:
    """Of each image of a block."""
    return (block.rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h + 1


cdef Py_ssize_t fill_steps(const Problem *p, const DirectLayout *l, const PixelBlock *block) noexcept nogil:
    """Into how many steps X is cut: planes as they are; where channels come last images, or their rows if threads share
    a block; else vectors of channels."""
    if l.in_place:
        return 0
    if l.tiling.in_planes:
        return block.images * p.c
    if p.xc == 1:
        return block.images if l.private else block.images * input_rows(p, block)
    return ceildiv(p.c, l.lanes)


cdef void fill_plane(const Problem *p, const DirectLayout *l, const PixelBlock *block, const floating *plane,
                     floating *dst) noexcept nogil:
    """One plane as it is, but for the padding."""
    cdef Band band
    band.row_stride, band.col_stride, band.padding = p.xh, p.xw, p.padding
    band.rows, band.cols = axis(p.h, input_rows(p, block), 1, 1, 1), axis(p.w, l.band_cols, 1, 1, 1)
    band.rows.start, band.cols.start = block.row0 * p.stride_h - p.top, block.col0 * p.stride_w - p.left
    layout(&band, 0)
    fill(&band, plane, p.xc, 1, <floating>p.value, dst)


cdef void fill_input(const Problem *p, const DirectLayout *l, const PixelBlock *block, Py_ssize_t step,
                     const Py_ssize_t *at, const floating *x, floating *dst) noexcept nogil:
    """One step. x: the first image and channel of the block; at: the table of fill_lanes; dst: X."""
    cdef Py_ssize_t i, c = step * l.lanes
    cdef LaneBand band
    if l.tiling.in_planes:
        i, c = step // p.c, step % p.c
        fill_plane(p, l, block, x + i * p.xn + c * p.xc, dst + i * l.image_pitch + c * l.plane_pitch)
        return
    band = lane_band(p, block.col0 * p.stride_w - p.left, l.band_cols, l.pixel)
    band.row0, band.rows = block.row0 * p.stride_h - p.top, input_rows(p, block)
    if p.xc != 1:
        for i in range(block.images):
            fill_lanes(p, &band, x + c * p.xc + i * p.xn, <int>min(l.lanes, p.c - c), <floating>p.value, at,
                       dst + c // l.cut * l.part_pitch + c % l.cut // l.lanes * l.channel_pitch + i * l.image_pitch)
    elif l.private:
        fill_pixels(p, &band, 0, band.rows, x + step * p.xn, p.c, dst + step * l.image_pitch, l.channel_pitch)
    else:
        i = step // band.rows
        fill_pixels(p, &band, step % band.rows, step % band.rows + 1, x + i * p.xn, p.c, dst + i * l.image_pitch,
                    l.channel_pitch)
