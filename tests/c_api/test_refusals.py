"""What the C API refuses: by a code and a message that names the argument, before anything is computed or written."""

import numpy as np
import pytest
from c_api.clients import addresses, planned
from processes import in_new_process

import fastconv as fc

INVALID, NO_MEMORY, INTERRUPTED, NO_PYTHON = 1, 2, 3, 4
CONV = dict(dtype=1, x_shape=(2, 3, 8, 9), weight_shape=(4, 3, 3, 3))
POOL = dict(dtype=1, x_shape=(2, 3, 8, 9), kernel_size=(2, 2))
F32 = np.float32

BAD_CONVOLUTIONS = [
    (dict(dtype=0), r"dtype must be one of 1 \(float32\), 2 \(float64\), got 0"),
    (dict(layout=2), r"layout must be one of 0 \(NCHW\), 1 \(NHWC\), got 2"),
    (dict(padding_mode=5), "padding_mode must be one of .*, got 5"),
    (dict(activation=-1), r"activation must be one of 0 \(none\), 1 \(relu\).*, got -1"),
    (dict(algorithm=5), "algorithm must be one of .*, got 5"),
    (dict(algorithm=3, weight_shape=(4, 3, 4, 4)), "algorithm 'winograd' is not possible"),
    (dict(x_shape=(2, 3, -8, 9)), "x_shape must be at least 0, got -8"),
    (dict(x_shape=(2, 3, 0, 9)), "x_shape must have at least one channel, row and column"),
    (dict(weight_shape=(4, 2, 3, 3)), "weight must have shape .* got \\(4, 2, 3, 3\\)"),
    (dict(weight_shape=(4, 3, 9, 3)), "weight does not fit into x"),
    (dict(stride=(0, 1)), "stride must be at least 1, got 0"),
    (dict(stride=(1, 2**40)), "stride must be at most"),
    (dict(padding=(0, 0, -1, 0)), "padding must be at least 0, got -1"),
    (dict(dilation=(1, 0)), "dilation must be at least 1, got 0"),
    (dict(groups=2), "groups must divide the channels"),
    (dict(groups=0), "groups must be at least 1, got 0"),
    (dict(padding_mode=1, padding_value=2.0), "padding_value must be left at 0"),
    (dict(x_strides=(6, 4, 4, 4)), r"x_strides must be multiples of the 4 bytes of an element, got \(6, 4, 4, 4\)"),
    (dict(weight_strides=(4, 4, 4, 2**62)), "weight_strides must stay within the memory"),
    (dict(y_strides=(4, 4, 4, 4)), "y_strides must keep elements apart"),
    (dict(y_strides=(0, 168, 28, 4)), "y_strides must keep elements apart"),
    (dict(grad_x_strides=(864, 288, 36, 4)), "grad_x_strides must be 0, 0, 0, 0 here"),
]
BAD_GRADIENTS = [
    (dict(activation=1), "activation and algorithm must be 0 in a plan of gradients, got 1 and 0"),
    (dict(algorithm=2), "activation and algorithm must be 0 in a plan of gradients, got 0 and 2"),
    (dict(grad_x_strides=(864, 0, 36, 4)), "grad_x_strides must keep elements apart"),
]
BAD_POOLINGS = [
    (dict(kernel_size=(0, 2)), "kernel_size must be at least 1, got 0"),
    (dict(kernel_size=(9, 2)), "kernel_size does not fit into x"),
    (dict(stride=(0, 1)), "stride must be at least 1, got 0"),
    (dict(padding=(2, 0, 0, 0)), "padding must be at most half of kernel_size"),
    (dict(ceil_mode=2), "ceil_mode must be 0 or 1, got 2"),
    (dict(wide_padding=-1), "wide_padding must be 0 or 1, got -1"),
    (dict(count_include_pad=0), "count_include_pad and divisor_override must be 1 and 0 for max pooling"),
    (dict(divisor_override=2), "count_include_pad and divisor_override must be 1 and 0 for max pooling"),
    (dict(grad_y_strides=(4, 4, 4, 4)), "grad_y_strides must be 0, 0, 0, 0 here"),
    (dict(x_strides=(1, 4, 4, 4)), "x_strides must be multiples of the 4 bytes"),
    (dict(x_shape=(2, 0, 8, 9)), "x_shape must have at least one channel"),
]
BAD = [*(("conv2d", {**CONV, **bad}, message) for bad, message in BAD_CONVOLUTIONS),
       *(("conv2d_backward", {**CONV, **bad}, message) for bad, message in BAD_GRADIENTS),
       *(("max_pool2d", {**POOL, **bad}, message) for bad, message in BAD_POOLINGS),
       ("max_pool2d_backward", {**POOL, "x_strides": (864, 288, 36, 4)}, "x_strides must be 0, 0, 0, 0 here"),
       ("avg_pool2d", {**POOL, "divisor_override": 2**40}, "divisor_override must be at most"),
       ("avg_pool2d_backward", {**POOL, "x_strides": (864, 288, 36, 4)}, "x_strides must be 0, 0, 0, 0 here")]


@pytest.mark.parametrize(("kind", "fields", "message"), BAD, ids=[f"{kind}: {text[:40]}" for kind, _, text in BAD])
def test_a_bad_plan(client, kind, fields, message):
    code, text, plan = client.plan(kind, fields)
    assert code == INVALID and plan is None
    with pytest.raises(ValueError, match=f"^{message}"):
        raise ValueError(text)


def test_what_is_too_large(client):
    for kind, fields in (("conv2d", {**CONV, "x_shape": (2**60, 3, 8, 9)}),
                         ("avg_pool2d", {**POOL, "x_shape": (2, 2**61, 8, 9)})):
        code, text, plan = client.plan(kind, fields)
        assert (code, plan) == (NO_MEMORY, None) and "more bytes than can be addressed" in text


@pytest.mark.parametrize("kind", ["conv2d", "conv2d_backward", "avg_pool2d"])
@pytest.mark.parametrize("size", [0, 8, 4096, -1])
def test_a_struct_of_another_size(client, kind, size):
    """-1 stands for no struct at all."""
    code, text = client.sizes(kind, size)
    assert code == INVALID
    assert text.startswith("problem must point to a struct, got NULL" if size < 0 else "size must be ")
    assert size < 0 or f"got {size}: begin with fastconv_{'conv' if 'conv' in kind else 'pool'}2d_defaults()" in text


def conv_arrays():
    return np.ones((2, 3, 8, 9), F32), np.ones((4, 3, 3, 3), F32), np.ones(4, F32), np.full((2, 4, 6, 7), 7, F32)


@pytest.mark.parametrize(("missing", "name"), [(0, "x"), (1, "weight"), (3, "y")])
def test_a_pointer_that_is_null(client, missing, name):
    arrays = list(conv_arrays())
    y = arrays[3]
    arrays[missing] = None
    plan = planned(client, "conv2d", **CONV)
    (code, text), = client.run("conv2d", plan, [addresses(*arrays)], False)
    assert code == INVALID and text.startswith(f"{name} must point to an array of shape (")
    assert (y == 7).all()


@pytest.mark.parametrize("place", range(4))
def test_a_pointer_that_is_not_aligned(client, place):
    arrays = conv_arrays()
    pointers = list(addresses(*arrays))
    pointers[place] += 2
    (code, text), = client.run("conv2d", planned(client, "conv2d", **CONV), [tuple(pointers)], False)
    name = ("x", "weight", "bias", "y")[place]
    assert code == INVALID and text.startswith(f"{name} must be aligned to the 4 bytes of an element, got 0x")
    assert (arrays[3] == 7).all()


def test_results_that_overlap(client):
    buffer = np.full(4000, 7, F32)
    x, weight, bias, _ = conv_arrays()
    start = addresses(buffer)[0]
    plan = planned(client, "conv2d", **CONV)
    others = addresses(x, weight, bias)
    for place, name in enumerate(("x", "weight", "bias")):
        pointers = [*others, start]
        pointers[place] = start + 64
        assert client.run("conv2d", plan, [tuple(pointers)], False) == [
            (INVALID, f"y must not overlap {name}: pass memory of its own")]
    gradients = planned(client, "conv2d_backward", **CONV)
    given = addresses(np.ones((2, 4, 6, 7), F32), x, weight)
    for pointers, names in (((start, start + 64, 0), ("grad_weight", "grad_x")),
                            ((0, start, start + 64), ("grad_bias", "grad_weight")),
                            ((others[0], 0, 0), ()), ((given[0], 0, 0), ("grad_x", "grad_y")),
                            ((0, others[0], 0), ("grad_weight", "x")), ((others[1], 0, 0), ("grad_x", "weight"))):
        (code, text), = client.run("conv2d_backward", gradients, [(*given, *pointers)], False)
        # grad_x may take the place of x, which is not read then.
        assert (code, text) == (0, "") if not names else (
            INVALID, f"{names[0]} must not overlap {names[1]}: pass memory of its own")
    pooling = planned(client, "max_pool2d", **POOL)
    assert client.run("max_pool2d", pooling, [(start, start + 16, 0)], False)[0] == (
        INVALID, "y must not overlap x: pass memory of its own")
    assert client.run("max_pool2d", pooling, [(others[0], start, start + 16)], False)[0] == (
        INVALID, "y must not overlap indices: pass memory of its own")
    assert (buffer == 7).all()


def test_indices_outside_the_plane(client):
    indices = np.zeros((2, 3, 4, 4), np.int64)
    grad_y, grad_x = np.ones((2, 3, 4, 4), F32), np.full((2, 3, 8, 9), 7, F32)
    plan = planned(client, "max_pool2d_backward", **POOL)
    for wrong in (72, -1, 2**62):
        indices[1, 2, 3, 3] = wrong
        (code, text), = client.run("max_pool2d_backward", plan, [addresses(grad_y, indices, grad_x)], False)
        assert code == INVALID and text.startswith("indices must be positions in a plane of 8 x 9 pixels, from 0 to 71")
        assert (grad_x == 7).all()


def test_no_plan_and_a_plan_of_another_kind(client):
    pointers = addresses(*conv_arrays())
    assert client.run("conv2d", None, [pointers], False) == [(INVALID, "plan must be a plan, got NULL")]
    assert client.output_shape(None) == (INVALID, "plan must be a plan, got NULL", (-1, -1, -1, -1))
    plan = planned(client, "max_pool2d", **POOL)
    assert client.run("conv2d", plan, [pointers], False) == [
        (INVALID, "plan must be one of plan_conv2d, got one of plan_max_pool2d")]


@pytest.mark.parametrize("null", [False, True])
def test_an_exception_that_was_set_before_stays(client, null):
    arrays = conv_arrays()
    pointers = (0, 0, 0, 0) if null else addresses(*arrays)
    code, _, pending = client.pending("conv2d", planned(client, "conv2d", **CONV), pointers)
    assert (code, pending) == (INVALID if null else 0, LookupError)
    assert null or (arrays[3] == 28).all()


def test_numbers_of_threads(client):
    before = fc.get_num_threads()
    try:
        assert client.set_num_threads(3) == (0, "")
        assert fc.get_num_threads() == 3
        assert client.limits(2) == (0, "", 2, 3)
        assert client.limits(0) == (0, "", 3, 3)
        for n in (-1, 1025):
            code, text, *_ = client.limits(n)
            assert code == INVALID and text == f"n must be from 1 to 1024 threads, or 0 for no limit, got {n}"
        assert client.set_num_threads(0) == (INVALID, "n must be from 1 to 1024 threads, got 0")
    finally:
        fc.set_num_threads(before)


# ---------------------------------------------------------------------------------------------------------------------
# Versions


OTHER_VERSIONS = """
import ctypes, sys
import fastconv
sys.path.insert(0, sys.argv[1])

class Api(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("version", ctypes.c_int), ("package", ctypes.c_char_p)]

new, pointer = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_GetPointer
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
real = Api.from_address(pointer(fastconv._C_API, b"fastconv._C_API"))
assert real.version == 1 and real.size > 100 and real.package.decode() == fastconv.__version__
other = Api(real.size + int(sys.argv[2]), real.version + int(sys.argv[3]), b"0.0.1")
fastconv._C_API = new(ctypes.addressof(other), b"fastconv._C_API", None)
try:
    import client
except ImportError as error:
    print(error)
else:
    print("imported")
"""


@pytest.mark.parametrize(("bytes_more", "versions_more", "answer"), [
    (0, 1, "fastconv has version 2 of its C API, and this module was compiled for version 1: compile it again"),
    (0, -1, "fastconv has version 0 of its C API, and this module was compiled for version 1: compile it again"),
    (-8, 0, "fastconv 0.0.1 is older than the one that this module was compiled with: its C API has "),
    (8, 0, "imported"), (0, 0, "imported")])
def test_other_versions_are_refused(client_folder, bytes_more, versions_more, answer):
    assert in_new_process(OTHER_VERSIONS, client_folder, bytes_more, versions_more).startswith(answer)


def test_a_fastconv_without_a_c_api(client_folder):
    script = """
        import sys, types
        sys.modules["fastconv"] = types.ModuleType("fastconv")
        sys.path.insert(0, sys.argv[1])
        try:
            import client
        except ImportError as error:
            print(error)
        """
    assert in_new_process(script, client_folder).startswith("the fastconv that is installed has no C API")


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl-C, and the end of Python


PREPARE = """
import signal, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import client
signal.signal(signal.SIGINT, signal.default_int_handler)
x, weight, y = np.ones((1, 1, 40, 40)), np.ones((1, 1, 15, 15)), np.zeros((1, 1, 26, 26))
pointers = tuple(array.ctypes.data for array in (x, weight)) + (0, y.ctypes.data)
code, message, plan = client.plan("conv2d", dict(dtype=2, x_shape=x.shape, weight_shape=weight.shape, algorithm=4))
assert code == 0, message
"""


def test_ctrl_c_is_told_and_raised(client_folder):
    """Fourier transforms are Python code, in which it is seen."""
    script = PREPARE + """
caught = False
try:
    client.interrupt("conv2d", plan, pointers)
    for _ in range(1000):
        pass
except KeyboardInterrupt:
    caught = True
print(caught, client.result())
"""
    assert in_new_process(script, client_folder).strip() == f"True ({INTERRUPTED}, 'KeyboardInterrupt: ')"


def test_calls_after_the_end_of_python(client_folder):
    printed = in_new_process(PREPARE + "client.at_exit('conv2d', plan, pointers)", client_folder).splitlines()
    assert printed == [f"{NO_PYTHON} Python does not run, or is about to end: nothing can be computed any more",
                       str(NO_PYTHON), "0"]
