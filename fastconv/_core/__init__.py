"""Floor 1: the compiled engine room. It checks nothing: arguments are checked in `fastconv.functional`.

Who calls whom
--------------
::

    functional/convolution.py
      |  a ConvProblem: sizes, window, layout, dtype                    (problem/geometry.py)
      v
    planner/plan.py  ->  planner/drivers.py  ->  <family>/cost.py       which driver, by expected nanoseconds
      |  in its simpler form, if there is one                           (problem/simpler.py, planner/doors.py)
      |  a Convolution: the arrays, a Window, an Epilogue               (problem/convolution.pyx)
      v
    <family>/forward.pyx         loops over images, blocks, threads; its layout, its scratch; without the GIL
      |                                     |
      |  scratch too large                  |  a band, lanes, blocks    (problem/)
      v                                     v
    problem/parts.py             runtime/isa.pxd  ->  src_c/            one micro-kernel of the instruction set in
                                                                        use; src_c/kernels.h declares it, for Cython too

    planner/data_gradient.py     grad_x: a way (data_gradient/) and a driver for its convolutions, kept with the plan
    <family>/weight_gradient.pyx chosen as the forward drivers are, by <family>/gradient_cost.py

    volume/plan.py               volumes: plans of images, for their planes

The rooms
---------
runtime      what runs under everything: the table of kernels, threads, memory, arrays, the memo of calls
problem      one convolution: its sizes, its arrays, its padded window; blocks of pixels; halves where scratch is short
planner      the choice
product      the implicit matrix product, pixels in the lanes; the matrices of linear layers
direct       the sum, output channels in the lanes
batch        the sum, images in the lanes
winograd     minimal filtering: transforms of inputs, filters and outputs, with products between them
depthwise    one input channel a group
fourier      large filters
data_gradient  the ways to grad_x by convolutions of grad_output
volume       volumes as sums of convolutions of planes
pooling      windows of images and volumes: maxima, averages; global and adaptive; and back to the maxima's positions
norm         batch, group and layer normalisation
pointwise    activations, softmax, losses, bias gradients, the optimisers' updates; affine maps of images

Words
-----
Each word has one meaning here.

band      rows of an image with their padding, copied so that no loop sees a border or a stride
block     what a thread computes at a time: images x rows x columns of outputs
chunk     a part of a sum, added up with the others in a fixed order
filter    all weights of one output channel; a *tap* is one position of it, with its weights for all channels
group     channels and filters that see each other alone; *narrow* where several fit into one vector
idle      of a tap: that meets nothing but constant padding
item      of a batch: one signal, image or volume
lane      an element of a vector register
layout    how a driver cuts a problem: blocks, sizes and places of its scratch
low       of a tile: of six outputs by two vectors of filters, all that 16 registers hold
pack      to copy filters, or patches, into the order in which a tile reads them
panel     filters, or pixels, that are packed together: as many as a tile takes
patch     pixels of an image that lie in one rectangle: those that a Winograd tile meets, or from one output to the next
part      of an even split: part i of n begins at i * total / n
phase     rows or columns that a stride or a dilation keeps apart
piece     of a band: one phase of its rows or columns, the elements of which follow each other
plane     of a volume, or of one channel of an image: its rows and columns
prepared  of weights: what a driver makes of them once, for many calls
run       pixels that follow each other in memory; of a sum: terms that are added one after the other
share     the units of a thread's own, from whose end others draw when they have none left
strip     in Winograd's driver a row of tiles of one image
tile      outputs that are in registers at a time; in Winograd's and Fourier's drivers the outputs of one transform
unit      the smallest thing that is given to a thread

Threads that wait
-----------------
GCC's OpenMP runtime lets threads without work spin for milliseconds before they sleep. On a machine that is busy with
something else that steals the time of the threads that have work: a training of 4 s took 75 s. It reads its settings
once, when it is loaded, which the import of `threads` does; so they are made here, where the user has made none,
and taken back for whatever comes later.

What NumPy imports
------------------
NumPy looks up the Python functions behind some methods when they are first used. Where Python is about to end, in an
object that dies last, nothing can be imported any more, so they are used here.
"""

import os

if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
    from fastconv._core.runtime import threads
else:
    os.environ["GOMP_SPINCOUNT"] = "1000"  # about 15 microseconds
    try:
        from fastconv._core.runtime import threads  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]

import numpy as np  # after that: it may bring the runtime too

_array = np.zeros(1)
for _method in (_array.all, _array.any, _array.sum, _array.min, _array.max):
    _method()
del _array, _method
