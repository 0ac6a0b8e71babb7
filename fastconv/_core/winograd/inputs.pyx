"""The inputs of Winograd's algorithm transformed: V[point][block of up to MR tiles][channel vector][MR], for
forward.pyx.

    for piece (up to 8 strips of one image), vector of input channels (NHWC: several, as they lie side by side):
        image with its padding -> band of channel vectors (L1, L2)
        for strip: contrast of its pixels; patches -> transform -> V

A weight gradient reads grad_output in the same way, as an image whose patches are 4 x 4 tiles (weight_gradient.pyx).

A transform spreads the rounding error of a pixel that is louder than others by far (src_c/contrast.h) to outputs that
do not see it: rows of tiles that have such a contrast are marked, to be computed again.
"""

from cython cimport floating
from libc.stdint cimport int32_t

from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions
from fastconv._core.problem.problem cimport Problem, ceildiv, part
from fastconv._core.runtime.isa cimport band_contrast, kernels
from fastconv._core.runtime.kernels cimport fc_contrast_blocks
from fastconv._core.runtime.threads cimport mark_byte
from fastconv._core.winograd.layout cimport WinogradBlock, WinogradLayout, channels_of

# What a unit reads: strips first .. last - 1, one under the other in one image, of so many channels of the group.
cdef struct WinogradPiece:
    Py_ssize_t first, last
    Py_ssize_t channel, channels    # the first, and how many


cdef inline void input_tiles(const WinogradLayout *l, const floating *band, Py_ssize_t pitch, floating *v,
                             const Py_ssize_t *at) noexcept nogil:
    if floating is float:
        if l.of_gradient:
            kernels.f32.winograd[l.scheme].gradients(band, pitch, l.tiles, v, at, l.v_point)
        else:
            kernels.f32.winograd[l.scheme].inputs(band, pitch, l.tiles, v, at, l.v_point)
    else:
        if l.of_gradient:
            kernels.f64.winograd[l.scheme].gradients(band, pitch, l.tiles, v, at, l.v_point)
        else:
            kernels.f64.winograd[l.scheme].inputs(band, pitch, l.tiles, v, at, l.v_point)


cdef void place_inputs(const WinogradLayout *l, const Problem *g, Py_ssize_t *at) noexcept nogil:
    """The table of transform_inputs: where the pixels of a band go, and behind it that of band_contrast. Where the last
    row or column of a tile is one too many, the last blocks of pixels begin one earlier."""
    cdef Py_ssize_t cols = (l.tiles - 1) * l.step_wide + l.patch_wide, row, block, i, step = l.contrast_step
    cdef Py_ssize_t last = 2 if l.blocks_of_contrast.below else 1    # pixels of a block
    cdef LaneBand band
    cdef int32_t *places = <int32_t *>(at + l.places_at)
    if not l.pixels:
        band = lane_band(g, 0, cols, l.lanes)
        lane_positions(g, &band, l.rows, at)
    for i in range(l.blocks_of_contrast.rows * l.blocks_of_contrast.count):
        row, block = i // l.blocks_of_contrast.count, i % l.blocks_of_contrast.count
        if l.patch_wide == 1:
            row, block = i % l.blocks_of_contrast.columns, i // l.blocks_of_contrast.columns
        row = max(0, min(step * row, l.patch_high - last))
        block = block if l.patch_wide == 1 else min(step * block, cols - last)
        places[i] = <int32_t>((row * cols + block) * l.lanes)
    places += l.blocks_of_contrast.rows * l.blocks_of_contrast.count
    for i in range(l.lanes):
        places[i] = 0


cdef void place_tiles(const WinogradLayout *l, WinogradBlock *block) noexcept nogil:
    """Where in V each tile of a block is: in even blocks of at most mr."""
    cdef Py_ssize_t tiles = (block.last - block.first) * l.tiles, blocks = ceildiv(tiles, l.mr), b, t
    for b in range(blocks):
        for t in range(part(tiles, blocks, b), part(tiles, blocks, b + 1)):
            block.tile_at[t] = b * l.v_tiles + (t - part(tiles, blocks, b)) * l.v_tile


cdef WinogradPiece piece_at(const WinogradLayout *l, const Problem *g, const WinogradBlock *block,
                            Py_ssize_t unit) noexcept nogil:
    cdef Py_ssize_t at_once = l.vectors_at_once * l.lanes, parts = ceildiv(l.vectors, l.vectors_at_once)
    cdef Py_ssize_t index = piece_of(l, block.first) + unit // parts
    cdef Py_ssize_t first = index // l.pieces * l.tile_rows + index % l.pieces * l.piece_strips
    cdef WinogradPiece piece
    piece.first = max(block.first, first)
    piece.last = min(block.last, min(first + l.piece_strips, (index // l.pieces + 1) * l.tile_rows))
    piece.channel = unit % parts * at_once
    piece.channels = min(at_once, channels_of(l, g, block.group) - piece.channel)
    return piece


cdef Py_ssize_t fill_band(const WinogradLayout *l, const Problem *g, const WinogradPiece *piece, Py_ssize_t channel,
                          floating *dst) noexcept nogil:
    """Fills the bands of a piece, whose first channel is `channel` of the image; returns how far their rows are
    apart."""
    cdef Py_ssize_t n = piece.first // l.tile_rows
    cdef Py_ssize_t col0 = n % l.col_blocks * l.tiles * l.step_wide - g.left
    cdef LaneBand band = lane_band(g, col0, (l.tiles - 1) * l.step_wide + l.patch_wide, l.lanes)
    cdef const floating *x = <const floating *>g.x + n // l.col_blocks * g.xn + channel * g.xc
    cdef floating value = <floating>g.value
    band.row0 = piece.first % l.tile_rows * l.step_high - g.top
    band.rows = (piece.last - piece.first - 1) * l.step_high + l.patch_high
    if l.pixels:
        fill_pixels(g, &band, 0, band.rows, x, piece.channels, dst, l.band_vector)
    else:
        fill_lanes(g, &band, x, <int>piece.channels, value, l.inputs_at, dst)
    return band.pitch


cdef void transform_inputs(const WinogradLayout *l, const Problem *g, const WinogradBlock *block, Py_ssize_t unit,
                           floating *scratch) noexcept nogil:
    """V of one unit of a block. Marks rows of tiles whose contrast is too great."""
    cdef WinogradPiece piece = piece_at(l, g, block, unit)
    cdef Py_ssize_t n = piece.first // l.tile_rows, q, i, pitch
    cdef const Py_ssize_t *tile_at = block.tile_at + (piece.first - block.first) * l.tiles
    cdef const int32_t *places = <const int32_t *>(l.inputs_at + l.places_at)
    cdef char *again = l.again + n // l.col_blocks * l.tile_rows + piece.first % l.tile_rows
    cdef floating *band = scratch + l.band_at
    cdef floating *energy = band + l.vectors_at_once * l.band_vector
    cdef floating *v = <floating *>block.v + piece.channel // l.lanes * l.v_vector
    cdef const floating *strip
    cdef fc_contrast_blocks blocks
    if piece.channels <= 0:
        return
    blocks = l.blocks_of_contrast
    pitch = fill_band(l, g, &piece, block.group * l.channels + piece.channel, band)
    blocks.below *= pitch if l.patch_high > 1 else l.lanes
    for q in range(ceildiv(piece.channels, l.lanes)):
        for i in range(piece.last - piece.first):
            strip = band + q * l.band_vector + i * l.step_high * pitch
            blocks.known = l.blocks_of_contrast.known if i else 0
            if l.contrast > 0 and band_contrast(&blocks, strip, places, energy, <floating>l.contrast):
                mark_byte(again + i)
            input_tiles(l, strip, pitch, v + q * l.v_vector, tile_at + i * l.tiles)
