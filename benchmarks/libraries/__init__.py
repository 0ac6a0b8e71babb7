"""The libraries that are compared, each called as its users would call it at its best.

A library takes the arrays of a layer, prepares once what its users prepare once (tensors, sessions, compiled
functions), and gives the calls to time, by operation. All get the same numbers in the same layout and precision and add
a bias (JAX: none, it would need a pass of its own).

There are two kinds. Frameworks take the weights in each call: PyTorch, JAX, NumPy, and SciPy for large filters.
Inference engines transform them beforehand, always: ONNX Runtime, OpenVINO, ncnn, LiteRT, MNN. In "forward" fastconv
takes the weights in the call and stands beside both kinds, so against the engines it does more than they do;
in "planned" it too has them prepared, and stands beside the engines alone.
"""

from benchmarks.libraries.base import (
                                       CONV_OPERATIONS,
                                       DTYPES,
                                       LAYOUTS,
                                       NETWORK_OPERATIONS,
                                       POOL_OPERATIONS,
                                       TRANSPOSED_OPERATIONS,
                                       Array,
                                       Calls,
                                       ConvArrays,
                                       Library,
                                       Setting,
)
from benchmarks.libraries.engines import LiteRt, Mnn, Ncnn, OnnxRuntime, OpenVino
from benchmarks.libraries.frameworks import FastConv, Jax, NumPy, SciPy, Torch, TorchCompiled

LIBRARIES: dict[str, type[Library]] = {
    "fastconv": FastConv, "torch": Torch, "torch-compiled": TorchCompiled, "jax": Jax, "numpy": NumPy, "scipy": SciPy,
    "onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn, "litert": LiteRt, "mnn": Mnn,
}

__all__ = ["CONV_OPERATIONS", "DTYPES", "LAYOUTS", "LIBRARIES", "NETWORK_OPERATIONS", "POOL_OPERATIONS",
           "TRANSPOSED_OPERATIONS",           "Array", "Calls", "ConvArrays", "Library", "Setting"]
