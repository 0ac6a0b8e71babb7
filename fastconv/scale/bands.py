"""A function over windows on an image that does not fit into memory."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv._core.runtime import memory as pool
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.pieces import weight_dtype, windowed
from fastconv.functional.typing import Array, FloatDType
from fastconv.scale.cutting import Piece, cut
from fastconv.scale.source import Function, Source
from fastconv.scale.target import Target, forget_pages
from fastconv.scale.window import Window

if TYPE_CHECKING:
    from fastconv.scale.state import State

_lock = threading.Lock()


def blockwise(fn: Any, source: Any, out: Any, /, *arguments: Any, window: Window | None = None, memory: int = 128 << 20,
              dtype: FloatDType | None = None, state: str | os.PathLike[str] | None = None,
              progress: bool | None = None, **options: Any) -> Any:
    """Computes ``out[...] = fn(source, *arguments, **options)`` for an image larger than memory, band by band.

    Each band of rows is read with the rows around it that its windows see, converted to floats, computed with all
    threads, and written, while the next one is read. Of images with very long rows bands are cut into blocks, which are
    read with the pixels on all sides of them.

    Parameters
    ----------
    fn : callable
        `conv1d`, `conv2d`, `conv3d`, or a max, avg or lp pooling in one, two or three dimensions, with its arguments
        and options behind `out`. Or, with a window, a function of one's own: from an array to an array of as many axes.
    source : array
        A NumPy memory map or array, an HDF5 data set (h5py), a Zarr array, or anything with `shape`, `dtype` and
        slices. Of the forms that fn takes, (N, C, H, W), (C, H, W), (N, H, W, C), (H, W, C), or a plain (H, W).
        Integers are converted band by band.
    out : array
        Such an array of the shape of the result, which is filled. Without the axis of channels where source has none
        and there is one filter. Floats are converted to its dtype; into integers of 8 or 16 bits they are rounded and
        those beyond their range become the nearest one. Must not overlap source.
    window : Window, optional
        What one number of the result of a function of one's own sees.
    memory : int
        Bytes that bands and their results take at most, besides what the function takes for itself: 8 MB of scratch a
        thread for those of fastconv.
    dtype : {"float32", "float64"}, optional
        What bands are computed in. By default that of source where it is one of them, else that of the weights, else
        float32.
    state : path, optional
        A small file that says how far the job is, and lies there until it is done. If it exists the job goes on from
        there: give the same arguments, and open `out` without emptying it. It is replaced as a whole every 15 seconds,
        after what it speaks of has been written to the disk.
    progress : bool, optional
        Whether to show a bar, which needs tqdm; by default where that is installed and stderr is a terminal.

    Returns
    -------
    array
        `out`.

    Raises
    ------
    TypeError, ValueError
        As fn does, before anything is read or written; a shape or dtype of out that does not fit; a memory that does
        not hold a block of 3 x 3 outputs; a state of another job; from a function of one's own, a result that
        `window` does not say, or not of real numbers.

    Notes
    -----
    Where a band or block touches the border the padding is that of the whole image, in all modes. The algorithm is
    chosen for the band. Where it is that of the whole image the results are the same bits: always with
    ``algorithm="gemm"`` and for maxima; with Winograd's algorithm too, as bands begin where its tiles do. Two things
    depend on the size of a band, within the error that fn states: the tiles of Fourier transforms, and the order in
    which averages, and depthwise convolutions with channels last, are added up. For one `memory` the bits are the same
    from run to run, for any number of threads, and after going on from a state.

    See Also
    --------
    fastconv.adapters.dask : the same on several processes, for arrays in chunks.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> image = np.memmap("image.raw", np.uint8, "w+", shape=(600, 400))
    >>> image[100:200, 100:200] = 255
    >>> blurred = np.memmap("blurred.raw", np.uint8, "w+", shape=(600, 400))
    >>> box = np.full((1, 1, 31, 31), 1 / 31**2, np.float32)
    >>> y = fc.blockwise(fc.conv2d, image, blurred, box, padding="same", padding_mode="reflect", memory=1 << 20)
    >>> blurred[150, 80:120:8]
    memmap([  0,  33,  99, 165, 230], dtype=uint8)
    """
    memory = checks.integer(memory, "memory", 1, sys.maxsize)
    if progress is not None:
        progress = checks.flag(progress, "progress")
    _check_array(source, "source", "biuf")
    _check_array(out, "out", "iuf")
    function = _function(fn, source, arguments, options, window, dtype)
    _check_out(out, source, function)
    pieces = cut(source, out, function, memory)
    if not pieces:
        return out
    target, record, done = Target(out, function), None, 0
    if state is not None:
        from fastconv.scale.state import State, described_job  # with all that training knows of comparing runs

        record = State(state, described_job(source, out, function, pieces, window), target)
        done = record.resume(pieces)
    try:
        with _bar(pieces, done, progress) as advance:
            _run(Source(source, function), target, pieces, done, record, advance)
    finally:
        _give_memory_back()
    return out


def _run(source: Source, target: Target, pieces: Sequence[Piece], done: int, state: State | None, advance: Any) -> None:
    """Compute the pieces that are not done. One thread reads the next piece and writes the last one meanwhile."""
    count, function, written = done, source.function, None    # pieces computed, the last of which is being written

    def write(number: int, result: Array) -> None:
        nonlocal done
        target.write(*pieces[number], result)
        done = number + 1
        if state is not None:
            state.finish(pieces, done)
        for array in (source.array, target.out):
            forget_pages(array)
        advance(1)

    with ThreadPoolExecutor(1, "fastconv-blockwise") as disk:
        try:
            for band, pads in _read_ahead(disk, source, pieces[done:]):
                result = function.compute(band, pads)
                del band
                if written is not None:
                    written.result()
                written = disk.submit(write, count, result)
                del result    # there is memory for two bands and two results, and no more
                count += 1
            if written is not None:
                written.result()
        except BaseException:
            if written is not None:
                written.exception()    # waits for it
            if state is not None:
                with suppress(Exception):    # where out cannot be written any more, the error that comes says why
                    state.finish(pieces, done, now=True)
            raise
    if state is not None:
        state.remove()


def _read_ahead(disk: ThreadPoolExecutor, source: Source, pieces: Sequence[Piece]) -> Iterator[Any]:
    """Each band with its padding, while the next one is read."""
    reading: deque[Future[Any]] = deque()
    for piece in pieces:
        reading.append(disk.submit(source.block, *piece))
        if len(reading) > 1:
            yield reading.popleft().result()
    if reading:
        yield reading.popleft().result()


def _function(fn: Any, source: Any, arguments: Sequence[Any], options: dict[str, Any], window: Any,
              dtype: Any) -> Function:
    """What is computed, with its windows, checked."""
    if window is None:
        weights = weight_dtype(fn, arguments, options)
        return windowed(fn, source.shape, _dtype(source, weights, dtype), arguments, options, "source.shape")
    if not isinstance(window, Window):
        raise TypeError(f"window must be a fastconv.Window or None, got {shown(window)}")
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {shown(fn)}")
    if arguments or options:
        raise TypeError("a function with a window is called with an image alone: "
                        "bind its other arguments, for example with functools.partial")
    return window.of(fn, tuple(source.shape), _dtype(source, None, dtype))


def _dtype(source: Any, weights: Any, dtype: Any) -> np.dtype[Any]:
    """What bands are computed in."""
    if dtype is not None:
        return checks.float_dtype(dtype, "dtype")
    native = source.dtype.newbyteorder("=")
    if native in (np.float32, np.float64):
        return np.dtype(native)
    return np.dtype(np.float32) if weights is None else np.dtype(weights)


def _check_array(array: Any, name: str, kinds: str) -> None:
    """An array that need not be NumPy's, of a kind of numbers that is read or written here."""
    if not all(hasattr(type(array), attribute) or hasattr(array, attribute)    # of a closed file the type alone has it
               for attribute in ("shape", "dtype", "ndim", "__getitem__")):
        raise TypeError(f"{name} must be an array with shape, dtype, ndim and slices, got {shown(array)} "
                        f"({type(array).__name__})")
    if not getattr(getattr(array, "id", None), "valid", True):
        raise ValueError(f"{name} must be open, got a data set of an HDF5 file that is closed: leave the file open "
                         "until blockwise returns")
    if not isinstance(array.dtype, np.dtype) or array.dtype.kind not in kinds:
        raise TypeError(f"{name} must hold numbers, got {array.dtype}")


def _check_out(out: Any, source: Any, function: Function) -> None:
    if out.dtype.kind in "iu" and out.dtype.itemsize > 2:
        raise TypeError(f"out must be floats, or integers of 8 or 16 bits, got {out.dtype}, which {function.dtype} "
                        "does not reach exactly")
    if not hasattr(out, "__setitem__") or _is_read_only(out):
        raise ValueError("out must be writable, got a read-only array: open its file with mode 'r+'")
    shape = function.shape
    if shape is None:
        outputs = tuple(axis.outputs for axis in function.axes)
        first, last = function.places[0], function.places[-1]
        if out.ndim != source.ndim or tuple(out.shape[first:last + 1]) != outputs:
            raise ValueError(f"out must have {source.ndim} axes, and {' x '.join(map(str, outputs))} numbers from axis "
                             f"{first} on, as window says, got shape {tuple(out.shape)}")
    elif tuple(out.shape) not in (shapes := _shapes(shape, function.channel)):
        raise ValueError(f"out must have shape {' or '.join(map(str, shapes))} (that of the result), "
                         f"got {tuple(out.shape)}")
    if _overlap(out, source):
        raise ValueError("out must not overlap source: a band is read after the one before it was written")


def _is_read_only(out: Any) -> bool:
    """Of NumPy's arrays, those of Zarr, and data sets of HDF5, whose file says it."""
    if isinstance(out, np.ndarray):
        return not out.flags.writeable
    return getattr(out, "read_only", False) is True or getattr(getattr(out, "file", None), "mode", None) == "r"


def _shapes(shape: tuple[int, ...], channel: int | None) -> list[tuple[int, ...]]:
    """Those that the result may have: of a plain image also without the only channel."""
    if channel is None or shape[channel] != 1:
        return [shape]
    return [shape, (*shape[:channel], *shape[channel + 1:])]


def _overlap(out: Any, source: Any) -> bool:
    """Whether two arrays are the same memory, or the same part of a file."""
    if not (isinstance(out, np.ndarray) and isinstance(source, np.ndarray)):
        same = out is source or (type(out) is type(source) and out == source)    # of HDF5 and Zarr, opened twice
        return same is True
    if isinstance(out, np.memmap) and isinstance(source, np.memmap) and out.filename and source.filename:
        if os.path.samefile(out.filename, source.filename):
            return out.offset < source.offset + source.nbytes and source.offset < out.offset + out.nbytes
    return bool(np.may_share_memory(out, source))


def _give_memory_back() -> None:
    """To the system, what bands were in: the pool of freed memory would keep it for others of their size."""
    with _lock:
        pool.set_pool_bound(pool.set_pool_bound(0))


@contextmanager
def _bar(pieces: Sequence[Piece], done: int, wanted: bool | None) -> Iterator[Any]:
    """A bar of the pieces on stderr; gives what moves it on."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield lambda count: None
        return
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        if wanted:
            raise ImportError("progress needs tqdm: pip install fastconv[progress]") from None
        yield lambda count: None
        return
    with tqdm(total=len(pieces), initial=done, unit="piece", desc="blockwise", file=sys.stderr) as bar:
        yield bar.update
