"""The runner as a backend of the ``onnx`` package: what `onnx.backend.test` runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import UnsupportedModel, onnx_package, read
from fastconv.adapters.onnx.operators import OPERATORS
from fastconv.adapters.onnx.session import Session, load

__all__ = ["backend_class"]


@functools.cache
def backend_class() -> Any:
    """The class `fastconv.adapters.onnx.Backend`, made when onnx is there."""
    helper: Any = onnx_package().helper
    interface: Any = import_module("onnx.backend.base")
    runner: Any = import_module("onnx.backend.test.runner")

    def run(session: Session, feeds: Any) -> tuple[Any, ...]:
        try:
            return tuple(session.run(feeds))
        except UnsupportedModel as error:
            raise runner.BackendIsNotSupposedToImplementIt(str(error)) from error

    class Prepared(interface.BackendRep):
        """A model that is ready to run."""

        def __init__(self, session: Any) -> None:
            self.session = session

        def run(self, inputs: Any, **options: Any) -> tuple[Any, ...]:
            """The outputs for arrays in the order of the inputs, or by name."""
            named = inputs if isinstance(inputs, Mapping) else dict(zip(self.session.input_names, inputs))
            return run(self.session, named)

    class Backend(interface.Backend):
        """fastconv's runner as ONNX's interface of backends has it; the only device is CPU."""

        @classmethod
        def is_compatible(cls, model: Any, device: str = "CPU", **options: Any) -> bool:
            try:
                load(model)
            except UnsupportedModel:
                return False
            return cls.supports_device(device)

        @classmethod
        def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Prepared:
            super().prepare(model, device, **options)
            if not cls.supports_device(device):
                raise ValueError(f"device must be CPU, got {device!r}")
            try:
                return Prepared(load(model))
            except UnsupportedModel as error:
                raise runner.BackendIsNotSupposedToImplementIt(str(error)) from error

        @classmethod
        def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **options: Any) -> tuple[Any, ...]:
            return cls.prepare(model, device, **options).run(inputs)

        @classmethod
        def run_node(cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None,
                     **options: Any) -> tuple[Any, ...]:
            """One node on arrays, in the newest opset that the onnx package knows or the one that is given."""
            super().run_node(node, inputs, device=device, outputs_info=outputs_info, **options)
            names = [name for name in node.input if name]
            arrays = [np.asarray(array) for array in (inputs if not isinstance(inputs, Mapping) else
                                                      [inputs[name] for name in names])]
            typed = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                     for name, array in zip(names, arrays)]
            outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
            version = options.get("opset_version")
            opsets = None if version is None else [helper.make_opsetid("", version)]
            model = helper.make_model(helper.make_graph([node], "node", typed, outputs), opset_imports=opsets)
            # The types of the outputs are not said, which a check of the model would want.
            return run(Session(read(model, OPERATORS, checked=True)), dict(zip(names, arrays)))

        @classmethod
        def supports_device(cls, device: str) -> bool:
            return device.split(":")[0].upper() == "CPU"

        @staticmethod
        def operators() -> list[str]:
            """The names of the operators that there are."""
            return sorted(OPERATORS)

    return Backend
