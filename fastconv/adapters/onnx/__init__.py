"""fastconv under ONNX models: a runner of its own, operators for ONNX's reference evaluator, and a backend.

    import fastconv.adapters.onnx
    session = fastconv.adapters.onnx.load("model.onnx")
    outputs = session.run({"x": x})

    evaluator = onnx.reference.ReferenceEvaluator("model.onnx", new_ops=fastconv.adapters.onnx.ops())

Needs the package ``onnx``, which reads models: ``pip install 'fastconv[onnx]'``.
"""

from __future__ import annotations

from typing import Any

from fastconv.adapters.onnx.graph import UnsupportedModel
from fastconv.adapters.onnx.reference import ops, report
from fastconv.adapters.onnx.session import Session, load

__all__ = ["Backend", "Session", "UnsupportedModel", "load", "ops", "report"]


def __getattr__(name: str) -> Any:
    if name == "Backend":    # whose base class is onnx's
        from fastconv.adapters.onnx.backend import backend_class

        return backend_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
