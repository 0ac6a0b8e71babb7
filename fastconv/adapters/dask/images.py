"""Models over arrays of images."""

from __future__ import annotations

import contextlib
import copy
import uuid
from typing import Any

import numpy as np

from fastconv.adapters.dask.host import array_of
from fastconv.config import num_threads
from fastconv.functional.foreign import shown
from fastconv.functional.typing import Array
from fastconv.nn import Module


class Inference:
    """A model in evaluation mode. It is one value of the graph, which each worker gets once."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, images: Array) -> Array:
        evaluating = self.model.evaluating() if isinstance(self.model, Module) else contextlib.nullcontext()
        with num_threads(1), evaluating:
            return np.asarray(self.model(images))


def infer(inference: Inference, images: Array, sample: Array | None = None) -> Array:
    """Outputs, each as the sample is, if there is one."""
    outputs = inference(images)
    if outputs.shape[:1] != images.shape[:1]:
        raise ValueError(f"model must return an output for each image, got shape {outputs.shape} for {len(images)}")
    if sample is not None and (outputs.shape[1:], outputs.dtype) != (sample.shape[1:], sample.dtype):
        raise ValueError(f"model must return outputs that are alike, got {outputs.dtype} of shape {outputs.shape} for "
                         f"{len(images)} images, and {sample.dtype} of shape {sample.shape} for one")
    return outputs


def predict(model: Any, x: Any) -> Any:
    """The graph of `fastconv.adapters.dask.predict`."""
    if not callable(model):
        raise TypeError(f"model must be a fastconv.nn.Module or a function, got {shown(model)}")
    if x.ndim < 2:
        raise ValueError(f"x must be images, (N, ...), got shape {x.shape}")
    inference = Inference(copy.deepcopy(model))
    sample = infer(inference, np.zeros((1, *x.shape[1:]), x.dtype))    # what an output looks like
    x = x.rechunk(dict.fromkeys(range(1, x.ndim), -1))
    name = f"fastconv-predict-{uuid.uuid4().hex}"    # two models are never known to be the same
    tasks: dict[Any, Any] = {f"{name}-model": inference}
    rest = (0,) * (sample.ndim - 1)
    for number in range(x.numblocks[0]):
        tasks[(name, number, *rest)] = (infer, f"{name}-model", (x.name, number, *(0,) * (x.ndim - 1)), sample)
    return array_of(name, tasks, [x], (x.chunks[0], *((size,) for size in sample.shape[1:])), sample.dtype)
