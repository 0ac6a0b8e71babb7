"""Images that do not fit into memory: `fastconv.blockwise` computes a function over windows piece by piece.

    bands.py        what a user calls: checks, and the loop over the pieces
    window.py       the windows of a function of one's own
    cutting.py      which pieces there are, by the memory that they may take
    source.py       reading a piece of a memory map, an HDF5 data set, a Zarr array
    target.py       writing a piece of the result into one
    state.py        how far a job is, for whoever goes on with it
"""

from fastconv.scale.bands import blockwise
from fastconv.scale.window import Window

__all__ = ["Window", "blockwise"]
