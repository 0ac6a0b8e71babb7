"""What is no ndarray but holds one: every array that a public function takes may come by DLPack, by the buffer protocol
or by __array__, to the same bits; from another device than the CPU it is refused by name."""

import numpy as np
import pytest
from functional.test_hostile_values import GOOD

import fastconv as fc


class ByDLPack:
    """A tensor of another library: it has nothing but what DLPack asks for."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class ByArray:
    """An object of a data-frame or labelled-array library."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


class OnGPU:
    """A tensor in a GPU's memory, as CuPy has them: NumPy gets nothing of it."""

    def __init__(self, array, device=(2, 0)):
        self._device = device

    def __dlpack__(self, **options):
        raise BufferError("not in the memory of the host")

    def __dlpack_device__(self):
        return self._device


FORMS = {"DLPack": ByDLPack, "buffer": memoryview, "__array__": ByArray}
ARRAYS = [(name, argument) for name, good in GOOD.items() for argument, value in good.items()
          if isinstance(value, np.ndarray)]


def results(value):
    """The arrays of a result: of an array, of several, of a plan (what it makes of ones)."""
    if isinstance(value, tuple):
        return [array for item in value for array in results(item)]
    if callable(value):
        return [value(np.ones(value.x_shape, np.float32))]
    return [] if value is None else [np.asarray(value)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "argument"), ARRAYS, ids=[f"{name}-{argument}" for name, argument in ARRAYS])
def test_arrays_of_others_are_read(name, argument, form):
    function, good = getattr(fc, name), GOOD[name]
    rng = np.random.default_rng(0)
    values = {key: rng.random(value.shape, np.float32) + 0.5 if getattr(value, "dtype", None) == np.float32 else value
              for key, value in good.items()}
    expected = results(function(**values))
    found = results(function(**{**values, argument: FORMS[form](values[argument])}))
    assert len(expected) == len(found) > 0
    for array, right in zip(found, expected):
        np.testing.assert_array_equal(array, right)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["nll_loss_backward", "cross_entropy_backward", "mse_loss_backward",
                                  "binary_cross_entropy_with_logits_backward"])
def test_gradients_of_losses_that_were_not_reduced(name, form):
    """grad_output may be a number there, or an array."""
    function, good = getattr(fc, name), GOOD[name]
    grad_output = np.random.default_rng(0).random((4, 3) if "target" in good and good["target"].ndim > 1 else 4,
                                                  np.float32)
    expected = function(**good, reduction="none", grad_output=grad_output)
    np.testing.assert_array_equal(function(**good, reduction="none", grad_output=FORMS[form](grad_output)), expected)


@pytest.mark.parametrize(("name", "argument"), ARRAYS, ids=[f"{name}-{argument}" for name, argument in ARRAYS])
def test_a_tensor_on_a_gpu_is_refused_by_name(name, argument):
    with pytest.raises(TypeError, match=rf"^{argument} must be an array, got .*OnGPU.*: not in the memory of the host; "
                                        r"it lies on device 0 of CUDA, "
                                        rf"and fastconv computes on CPUs: copy {argument} to the host first"):
        getattr(fc, name)(**{**GOOD[name], argument: OnGPU(GOOD[name][argument])})


@pytest.mark.parametrize(("device", "words"), [
    ((2, 3), "device 3 of CUDA"), ((10, 0), "device 0 of ROCm"), ((8, 1), "device 1 of Metal"),
    ((99, 0), "device 0 of DLPack's type 99")])
def test_the_device_is_named(device, words):
    with pytest.raises(TypeError, match=rf"^x must be an array, got .*; it lies on {words}, "):
        fc.relu(OnGPU(None, device))


def test_memory_that_the_host_shares_with_a_gpu_is_not_called_its():
    """Whatever its library says, it is not for the place where the array lies."""
    with pytest.raises(TypeError, match="^x must be an array, got .*: not in the memory of the host$"):
        fc.relu(OnGPU(None, (3, 0)))
