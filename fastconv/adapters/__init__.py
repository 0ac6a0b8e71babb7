"""fastconv as the backend of other projects, each switched on with one line.

A host has one module or folder here; none imports another, and each imports its host inside, when it is switched on.
``fastconv adapters`` prints the table below with what is installed.

What a host asks for is computed by fastconv, or handed to the host's own code where the adapter is a patch, or refused
by name: never a wrong result, never a slow path without a word. ``report()`` of an adapter counts the calls served and
those handed on, with the reason (`fastconv.adapters.report`).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HOSTS", "Host"]


class Host(NamedTuple):
    """A project that fastconv can serve as its backend."""

    name: str  #: what it is called
    package: str | None  #: what pip installs; None for one that is source code, not a package
    tested: str | None  #: the version that the tests run with
    line: str  #: what switches it on, to be written as it is
    summary: str  #: what is served


HOSTS: tuple[Host, ...] = (
    Host("ONNX models", "onnx", "1.23.2", "from fastconv.adapters.onnx import load; session = load('model.onnx')",
         "runs ONNX models without ONNX Runtime; also a backend for the onnx package"),
    Host("ONNX's reference evaluator", "onnx", "1.23.2",
         "from fastconv.adapters.onnx import ops; ReferenceEvaluator(model, new_ops=ops())",
         "computes the evaluator's operators, several times as fast"),
    Host("SciPy", "scipy", "1.17.1", "from fastconv.adapters.scipy import patched\nwith patched(): ...",
         "the linear filters of scipy.ndimage, convolve2d and correlate2d of scipy.signal"),
    Host("PyTorch", "torch", "2.13.0", "from fastconv.adapters.torch import enable; enable()",
         "convolutions and poolings of float tensors on CPUs and their gradients; an operator for torch.compile"),
    Host("CS231n", None, None, "from fastconv.adapters.cs231n import *",
         "the functions of the course's fast_layers.py: convolution, max pooling, columns"),
    Host("Deep Learning from Scratch", None, None, "from fastconv.adapters.dlfs import enable; enable()",
         "the book's Convolution, Pooling, Relu and Adam, im2col and col2im"),
    Host("scikit-learn", "scikit-learn", "1.9.1", "from fastconv.adapters.sklearn import CNNClassifier",
         "a convolutional network as a classifier: pipelines, grid searches, partial_fit"),
    Host("autograd", "autograd", "1.9.1", "from fastconv.adapters.autograd import enable; enable()",
         "autograd.scipy.signal.convolve; new functions for convolution and pooling"),
    Host("Keras", "keras", "3.15.1", "from fastconv.adapters.keras import enable; enable()",
         "convolution and pooling of Keras's NumPy backend, for prediction, without JAX"),
    Host("PyTensor", "pytensor", "3.0.7", "from fastconv.adapters.pytensor import enable; enable()",
         "pytensor.tensor.signal.convolve2d and its gradients"),
    Host("mygrad", "mygrad", "2.5.0", "from fastconv.adapters.mygrad import enable; enable()",
         "mygrad.nnet.conv_nd and max_pool, with their gradients"),
    Host("Dask", "dask", "2026.8.0", "from fastconv.adapters.dask import conv2d",
         "convolution, pooling and models for arrays in chunks, on threads, processes or a cluster"),
)  # fmt: skip
