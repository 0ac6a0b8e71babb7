"""What is no array of floats is read where it can be, and else refused with the expression
to write, which then works."""

import array
import decimal
import re

import numpy as np
import pytest

import fastconv as fc

F32 = np.float32
NUMBERS = np.random.default_rng(0).integers(0, 5, (2, 3, 6, 6)).astype(F32)
WEIGHT = np.ones((4, 3, 3, 2), F32)    # no transform serves it: results are exact in either precision
EXPECTED = fc.conv2d(NUMBERS, WEIGHT)


def mended(call, value, name="x"):
    """The message of a refused call, and what the expression in it makes of the value."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call(value)
    message = str(caught.value)
    assert "\n" not in message and re.search(rf"\b{name}\b", message), message
    expression = re.search(rf"(?:pass|convert it with|for example with|for example) ([\w.]*\(*{name}.*|np\..*)$",
                           message)
    assert expression, message
    return message, eval(expression.group(1), {"np": np, name: value})


def conv2d(x):
    return fc.conv2d(x, WEIGHT.astype(np.float64) if getattr(x, "dtype", None) == np.float64 else WEIGHT)


def assert_mended(value, *words):
    message, right = mended(conv2d, value)
    for word in words:
        assert word in message, message
    np.testing.assert_array_equal(conv2d(right), EXPECTED)


class OnAnotherDevice:
    """An array of another library on a GPU, which copies to the host when NumPy asks for it."""

    def __dlpack__(self, **options):
        raise BufferError("the device is not a CPU")

    def __dlpack_device__(self):
        return 2, 0

    def __array__(self, dtype=None, copy=None):
        return NUMBERS


class Labelled:
    """An array with names for its axes, as xarray has them: its `data` is an array, and so is itself."""

    data = NUMBERS

    def __array__(self, dtype=None, copy=None):
        return NUMBERS


class Explicit(OnAnotherDevice):
    """The same, of a library that wants to be asked for the copy."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")


@pytest.mark.parametrize("given", [
    NUMBERS.view(type("Subclass", (np.ndarray,), {})), memoryview(NUMBERS), NUMBERS.astype(">f4"),
    np.asfortranarray(NUMBERS), list(NUMBERS), tuple(map(list, NUMBERS)), OnAnotherDevice(), Labelled()],
                         ids=lambda given: type(given).__name__)
def test_what_can_be_read_is_read(given):
    np.testing.assert_array_equal(fc.conv2d(given, WEIGHT), EXPECTED)
    np.testing.assert_array_equal(fc.relu(given), NUMBERS)


def test_one_dimension_at_a_time():
    np.testing.assert_array_equal(fc.relu(array.array("d", [-1.0, 2.0])), [0, 2])
    np.testing.assert_array_equal(fc.relu(np.ones((2, 2)).view(np.matrix)), np.ones((2, 2)))
    assert type(fc.relu(np.ones((2, 2)).view(np.matrix))) is np.ndarray


@pytest.mark.parametrize(("given", "words"), [
    (NUMBERS.astype(np.int64), ["got int64"]), (NUMBERS.astype(np.uint8), ["got uint8"]),
    (NUMBERS.astype(np.float16), ["got float16"]), (NUMBERS.astype(np.longdouble), ["np.float64"]),
    (NUMBERS.astype(np.int32).tolist(), ["got int64"]), (NUMBERS.astype(object), ["got object"]),
    (np.vectorize(lambda number: decimal.Decimal(int(number)), otypes=[object])(NUMBERS), ["got object"]),
    (NUMBERS.astype(str), ["text"]), (NUMBERS.astype("S8"), ["text"]),
    (np.rec.fromarrays([NUMBERS], names="pixels"), ["one of its fields"]), (np.ma.masked_array(NUMBERS), ["mask"]),
    (fc.nn.Parameter(NUMBERS), ["Parameter"]),
    (NUMBERS.astype("m8[s]"), ["timedelta64[s]"]), (NUMBERS.astype("M8[s]"), ["datetime64[s]"]),
], ids=lambda given: str(getattr(given, "dtype", type(given).__name__)))
def test_the_expression_works(given, words):
    assert_mended(given, *words)


def tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(NUMBERS)
    return {
        "requires grad": (x.clone().requires_grad_(), ".detach()"), "Parameter": (torch.nn.Parameter(x), ".detach()"),
        "half": (x.half(), ".float()"), "bfloat16": (x.bfloat16(), ".float()"),
        "float8": (x.to(torch.float8_e5m2), ".float()"),
        "bfloat16 with grad": (x.bfloat16().requires_grad_(), ".detach().float()"), "int": (x.int(), ".float()"),
        "sparse": (x.to_sparse(), ".to_dense()"), "sparse bfloat16": (x.bfloat16().to_sparse(), ".to_dense().float()"),
        "complex": (x.to(torch.complex64), ".real"),
    }


@pytest.mark.parametrize("kind", ["requires grad", "Parameter", "half", "bfloat16", "float8", "bfloat16 with grad",
                                  "int", "sparse", "sparse bfloat16", "complex"])
def test_a_tensor_is_told_what_it_needs(kind):
    tensor, step = tensors()[kind]
    if kind == "complex":
        with pytest.raises(TypeError, match=r"x\.real"):
            fc.conv2d(tensor, WEIGHT)
    else:
        assert_mended(tensor, step)
    good = tensor.float() if kind == "int" else tensor.detach().to_dense().real.float()
    np.testing.assert_array_equal(fc.conv2d(good, WEIGHT), EXPECTED)


def test_every_argument_says_it_of_itself():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(4, 3, requires_grad=True)
    for call, name in [(lambda v: fc.linear(np.ones((2, 3), F32), v), "weight"),
                       (lambda v: fc.relu_backward(v, np.ones((4, 3), F32)), "grad_output"),
                       (lambda v: fc.sigmoid_backward(np.ones((4, 3), F32), v), "y"),
                       (lambda v: fc.cross_entropy(v, [0] * 4), "logits")]:
        message, right = mended(call, tensor, name)
        assert f"{name}.detach()" in message
        call(right)


def test_a_list_of_tensors_and_tensors_without_numbers():
    torch = pytest.importorskip("torch")
    assert_mended([image.clone().requires_grad_() for image in torch.from_numpy(NUMBERS)], "item.detach()")
    with pytest.raises(TypeError, match="x must be an array.*meta"):
        fc.conv2d(torch.ones(2, 3, 6, 6, device="meta"), WEIGHT)


def test_what_another_library_says_is_passed_on():
    with pytest.raises(TypeError, match=r"x must be an array, got .*Explicit.*device is not a CPU"):
        fc.conv2d(Explicit(), WEIGHT)


def test_images_of_different_sizes():
    image = pytest.importorskip("PIL.Image").new
    for images, sizes in [([image("RGB", (6, 6)), image("RGB", (7, 6))], r"\(6, 6, 3\) and \(6, 7, 3\)"),
                          ([np.ones((3, 6, 6), F32), np.ones((3, 8, 6), F32)], r"\(3, 6, 6\) and \(3, 8, 6\)"),
                          ([[1.0], [1.0, 2.0]], r"\(1,\) and \(2,\)")]:
        with pytest.raises(ValueError, match=f"x must be .*a list of entries that differ in shape, {sizes}: "
                                             r".*np\.asarray\(x\[0\]\)"):
            fc.conv2d(images, WEIGHT)
    objects = np.empty(2, object)
    objects[:] = [np.ones((3, 6, 6), F32), np.ones((3, 8, 6), F32)]
    with pytest.raises(TypeError,
                       match=r"x must be float32 or float64, got object: it holds arrays: .*np\.stack\(list\(x\)\)"):
        fc.conv2d(objects, WEIGHT)


def test_what_is_no_number_is_named():
    with pytest.raises(TypeError, match="x must be float32 or float64, got object: it holds None, which is no number"):
        fc.relu([1.0, None])
    with pytest.raises(TypeError, match="it holds 1000.*, which is beyond float64"):
        fc.relu([10**400])
    with pytest.raises(TypeError, match=r"x must be an array, got \{'a': 1\} \(dict\)"):
        fc.relu({"a": 1})


SCORES = np.zeros((4, 3), F32)
RIGHT = np.array([0, 1, 2, 1])


@pytest.mark.parametrize("given", [
    RIGHT[:, None], RIGHT[None], RIGHT[:, None].tolist(), np.eye(3)[RIGHT], np.eye(3, dtype=int)[RIGHT],
    np.eye(3, dtype=bool)[RIGHT], np.eye(3)[RIGHT].tolist(), np.eye(3)[RIGHT] * 0.9 + 1 / 30, RIGHT.astype(F32),
    RIGHT.astype(np.float64).tolist(), RIGHT.astype(object), RIGHT + 1, np.array(["ant", "bee", "cat"])[RIGHT],
    ["ant", "bee", "cat", "bee"]], ids=str)
@pytest.mark.parametrize("loss", [fc.nll_loss, fc.cross_entropy, fc.nll_loss_backward, fc.cross_entropy_backward])
def test_labels_in_another_form(given, loss):
    _, right = mended(lambda target: loss(SCORES, target), given, "target")
    np.testing.assert_array_equal(right, RIGHT)
    loss(SCORES, right)


def test_labels_of_a_tensor():
    torch = pytest.importorskip("torch")
    for given in (torch.from_numpy(RIGHT)[:, None], torch.from_numpy(RIGHT).float(),
                  torch.nn.functional.one_hot(torch.from_numpy(RIGHT))):
        _, right = mended(lambda target: fc.nll_loss(SCORES, target), given, "target")
        np.testing.assert_array_equal(right, RIGHT)


@pytest.mark.parametrize(("given", "text"),
                         [([0, 1.5, 2, 1], "1.5 is no class number"), ([0, np.nan, 1, 1], "nan is no class number"),
                          ([0, None, 1, 1], "None is no class number"), ([-1, 0, 0, 0], "from 0 to 2, got -1")])
def test_labels_that_are_none(given, text):
    with pytest.raises((TypeError, ValueError), match=f"target must be .*{text}"):
        fc.nll_loss(SCORES, given)


def test_labels_of_a_dataset():
    images = np.zeros((4, 6, 6), F32)
    for given, text in [(RIGHT[:, None], r"labels\.ravel\(\)"), (np.eye(3)[RIGHT], r"labels\.argmax\(1\)"),
                        (RIGHT / 1, r"labels\.astype\(np\.int64\)")]:
        with pytest.raises((TypeError, ValueError), match=text):
            fc.data.ArrayDataset(images, given)


@pytest.mark.parametrize(("value", "error"), [
    ([[1], [1, 2]], TypeError), ([1.0], TypeError), (np.ones(2), TypeError), (np.array([[1.0]]), TypeError),
    (1j, TypeError), (np.complex64(1), TypeError),
    (np.array(1j), TypeError), ("1", TypeError), (b"1", TypeError), (None, TypeError), (True, TypeError),
    (np.True_, TypeError), (np.datetime64("2020-01-01"), TypeError), (np.timedelta64(1, "s"), TypeError),
    ({}, TypeError), (10**400, ValueError), (-10**5000, ValueError)],
    ids=lambda value: type(value).__name__)
def test_a_padding_value_that_is_no_number(value, error):
    with pytest.raises(error, match="^padding_value must be"):
        fc.conv2d(NUMBERS, WEIGHT, padding=1, padding_value=value)


@pytest.mark.parametrize("value", [1, np.int8(1), np.float16(1), F32(1), np.longdouble(1), np.array(1.0),
                                   decimal.Decimal(1), 10**0])
def test_a_padding_value_that_is_a_number(value):
    np.testing.assert_array_equal(fc.conv2d(NUMBERS, WEIGHT, padding=1, padding_value=value),
                                  fc.conv2d(np.pad(NUMBERS, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1),
                                            WEIGHT))
