"""SciPy's linear filters of images, computed by fastconv.

One line makes SciPy itself use fastconv, with all that calls it::

    with fastconv.adapters.scipy.patched():
        scipy.ndimage.gaussian_filter(image, 3)

The C functions under `scipy.ndimage`'s filters and under `scipy.signal.convolve2d` and `correlate2d` are exchanged, so
all of SciPy's arguments mean what they mean there. The functions of this module are SciPy's own with these C functions:
they need no patch, and leave SciPy as it is. What fastconv does not compute as SciPy does goes to SciPy's C function,
and `report` says how often, and why.
"""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from fastconv.adapters.report import Report
from fastconv.adapters.scipy.filters import Filters
from fastconv.adapters.scipy.planes import Planes

__all__ = ["convolve", "convolve1d", "convolve2d", "correlate", "correlate1d", "correlate2d", "gaussian_filter",
           "laplace", "patched", "prewitt", "report", "sobel", "uniform_filter"]

_report = Report()
_lock = threading.RLock()
_patches = 0  # how many `patched` blocks are open, in all threads


def report() -> Report:
    """How many calls of SciPy's C functions were served, and which were handed on to SciPy, and why.

    Returns
    -------
    Report
        Of all calls since the import, or since its `reset`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters import scipy
    >>> scipy.report().reset()
    >>> y = scipy.sobel(np.ones((8, 8)))
    >>> scipy.report()
    correlate1d: 2 served
    """
    return _report


@contextmanager
def patched() -> Iterator[Report]:
    """SciPy's filters are computed by fastconv, in all threads, until the last such block ends.

    Yields
    ------
    Report
        The one of `report`.

    Raises
    ------
    ImportError
        SciPy is not installed.

    Examples
    --------
    >>> import numpy as np, scipy.ndimage
    >>> from fastconv.adapters.scipy import patched
    >>> with patched():
    ...     y = scipy.ndimage.correlate(np.eye(3), np.ones((3, 3)))
    >>> y[1]
    array([3., 3., 3.])
    """
    global _patches
    filters, signals = _host()
    with _lock:
        if _patches == 0:
            filters._nd_image = Filters(filters._nd_image, _report)
            signals._sigtools = Planes(signals._sigtools, _report)
        _patches += 1
    try:
        yield _report
    finally:
        with _lock:
            _patches -= 1
            if _patches == 0:
                filters._nd_image = filters._nd_image._host
                signals._sigtools = signals._sigtools._host


def correlate(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """`scipy.ndimage.correlate`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.scipy import correlate
    >>> correlate(np.arange(6.0).reshape(2, 3), [[0, 0, 0], [-1, 0, 1], [0, 0, 0]])
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    return _ours("correlate")(input, weights, output, mode, cval, origin, axes=axes)


def convolve(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """`scipy.ndimage.convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.scipy import convolve
    >>> convolve(np.arange(3.0), [1, 0, -1])
    array([1., 2., 1.])
    """
    return _ours("convolve")(input, weights, output, mode, cval, origin, axes=axes)


def correlate1d(input, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """`scipy.ndimage.correlate1d`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import correlate1d
    >>> correlate1d([2.0, 8, 0, 4], weights=[1, 3])
    array([ 8., 26.,  8., 12.])
    """
    return _ours("correlate1d")(input, weights, axis, output, mode, cval, origin)


def convolve1d(input, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """`scipy.ndimage.convolve1d`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import convolve1d
    >>> convolve1d([2.0, 8, 0, 4], weights=[1, 3])
    array([14., 24.,  4., 16.])
    """
    return _ours("convolve1d")(input, weights, axis, output, mode, cval, origin)


def uniform_filter(input, size=3, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """`scipy.ndimage.uniform_filter`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import uniform_filter
    >>> uniform_filter([0.0, 6, 3], size=3)
    array([2., 3., 4.])
    """
    return _ours("uniform_filter")(input, size, output, mode, cval, origin, axes=axes)


def gaussian_filter(input, sigma, order=0, output=None, mode="reflect", cval=0.0, truncate=4.0, *, radius=None,
                    axes=None):
    """`scipy.ndimage.gaussian_filter`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import gaussian_filter
    >>> gaussian_filter([0.0, 0, 1, 0, 0], sigma=1).round(2)
    array([0.06, 0.24, 0.4 , 0.24, 0.06])
    """
    return _ours("gaussian_filter")(input, sigma, order, output, mode, cval, truncate, radius=radius, axes=axes)


def prewitt(input, axis=-1, output=None, mode="reflect", cval=0.0):
    """`scipy.ndimage.prewitt`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.scipy import prewitt
    >>> prewitt(np.arange(6.0).reshape(2, 3))[0]
    array([3., 6., 3.])
    """
    return _ours("prewitt")(input, axis, output, mode, cval)


def sobel(input, axis=-1, output=None, mode="reflect", cval=0.0):
    """`scipy.ndimage.sobel`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.scipy import sobel
    >>> sobel(np.arange(6.0).reshape(2, 3))[0]
    array([4., 8., 4.])
    """
    return _ours("sobel")(input, axis, output, mode, cval)


def laplace(input, output=None, mode="reflect", cval=0.0, *, axes=None):
    """`scipy.ndimage.laplace`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import laplace
    >>> laplace([0.0, 0, 1, 0, 0])
    array([ 0.,  1., -2.,  1.,  0.])
    """
    return _ours("laplace")(input, output, mode, cval, axes=axes)


def convolve2d(in1, in2, mode="full", boundary="fill", fillvalue=0):
    """`scipy.signal.convolve2d`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import convolve2d
    >>> convolve2d([[1.0, 2], [3, 4]], [[1, 1]])
    array([[1., 3., 2.],
           [3., 7., 4.]])
    """
    return _ours("convolve2d")(in1, in2, mode, boundary, fillvalue)


def correlate2d(in1, in2, mode="full", boundary="fill", fillvalue=0):
    """`scipy.signal.correlate2d`.

    Examples
    --------
    >>> from fastconv.adapters.scipy import correlate2d
    >>> correlate2d([[1.0, 2], [3, 4]], [[0, 1]], mode="valid")
    array([[2.],
           [4.]])
    """
    return _ours("correlate2d")(in1, in2, mode, boundary, fillvalue)


def _host() -> tuple[Any, Any]:
    """SciPy's modules that call the C functions."""
    try:
        return import_module("scipy.ndimage._filters"), import_module("scipy.signal._signaltools")
    except ImportError as error:
        raise ImportError("fastconv.adapters.scipy needs SciPy: pip install fastconv[scipy]") from error


@functools.cache
def _ours(name: str) -> Any:
    """SciPy's function of this name with our C functions, whether SciPy is patched or not."""
    return _copies()[name]


@functools.cache
def _copies() -> dict[str, Any]:
    filters, signals = _host()
    with _lock:
        nd_image = getattr(filters._nd_image, "_host", filters._nd_image)
        sigtools = getattr(signals._sigtools, "_host", signals._sigtools)
    return {**_with(signals, _sigtools=Planes(sigtools, _report)),
            **_with(filters, _nd_image=Filters(nd_image, _report))}


def _with(module: Any, **exchanged: Any) -> dict[str, Any]:
    """The names of a module whose functions see others in the place of some of its names."""
    names = {**vars(module), **exchanged}
    for name, function in vars(module).items():
        if isinstance(function, types.FunctionType) and function.__globals__ is vars(module):
            copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__,
                                      function.__closure__)
            copy.__kwdefaults__ = function.__kwdefaults__
            names[name] = copy
    return names
