from typing import overload

from fastconv.functional.typing import Activation, Array, ArrayLike, Float, NDArray

@overload
def add(x: NDArray[Float], other: NDArray[Float], *, activation: Activation | None = None,
        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def add(x: ArrayLike, other: ArrayLike, *, activation: Activation | None = None, out: Array | None = None) -> Array: ...
