"""Head and arrays in one body, there and back."""

import json

import numpy as np
import pytest

from fastconv.lecture import wire


def test_there_and_back():
    rng = np.random.default_rng(0)
    arrays = {"x": rng.random((2, 3, 4), np.float32), "empty": np.zeros((0, 5), np.float32), "one": np.float32(7),
              "strange": np.float32([np.nan, np.inf, -0.0])}
    for text in ("", "a", "ab", "abc", "abcd", "한국어"):
        head, found = wire.unpack(wire.pack({"text": text}, arrays))
        assert head == {"text": text} and list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].tobytes() == array.tobytes() and found[name].shape == array.shape
            assert found[name].dtype == np.float32


@pytest.mark.parametrize("white", [1, 255])
def test_pixels_travel_in_bytes_and_are_the_same_numbers(white):
    every = np.arange(256, dtype=np.float32) * np.float32(white) / np.float32(255)
    for shape in ((1, 256), (3, 5, 7), (0, 2), (1,), (2,)):
        array = np.resize(every, shape)
        sent = wire.pack({"k": 1}, {"image": wire.pixels(array, white), "behind": np.float32([1.5])})
        assert len(sent) % 4 == 0 and len(sent) < 100 + array.size
        head, found = wire.unpack(sent)
        assert head == {"k": 1} and found["behind"].tolist() == [1.5]
        assert found["image"].dtype == np.float32 and found["image"].shape == shape
        assert found["image"].tobytes() == array.tobytes()


@pytest.mark.parametrize("other", [0.5, -1.0, -0.0, 256.0, 1e30, np.nextafter(np.float32(3), np.float32(4))])
def test_what_is_no_pixel_does_not_travel_in_bytes(other):
    array = np.float32([0, 255, other])
    assert wire.pixels(array, 255) is array


def test_arrays_lie_where_a_browser_can_read_them():
    body = wire.pack({"k": 1}, {"x": [1.5]})
    assert len(body) % 4 == 0 and np.frombuffer(body[-4:], "<f4") == 1.5


def body(head, rest=b""):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(4, "little") + text + rest


@pytest.mark.parametrize("wrong", [
    b"", b"\0\0", b"\xff\xff\xff\xff", body(b"{"), body(b"\xff"), body([]), body(3), body({"sections": 3}),
    body({"sections": [["x"]]}), body({"sections": [["x", [-1]]]}), body({"sections": [["x", [1.5]]]}),
    body({"sections": [["x", [True]]]}), body({"sections": [[1, [1]]]}), body({"sections": [["x", [2]]]}, bytes(4)),
    body({"sections": [["x", [2**23, 2**23, 2**23]]]}), body({}, bytes(4)), body(b"[" * 10**5),
    body(b'{"k": %s}' % (b"9" * 5000)), body({"sections": [["x", [0]], ["x", [0]]]}),
    body({"sections": [["x", [4], 2]]}, bytes(4)), body({"sections": [["x", [4], "1"]]}, bytes(4)),
    body({"sections": [["x", [3], 1]]}, bytes(3)), body({"sections": [["x", [4], 1, 1]]}, bytes(4)),
    body({"sections": [["x", [4], 1]]}, bytes(8)), body({"sections": [["x", [4], None]]}, bytes(4)),
    body({"sections": [[f"x{k}", [0]] for k in range(5000)]}), body({"sections": [["x" * 257, [0]]]}),
])  # fmt: skip
def test_a_body_that_is_none(wrong):
    with pytest.raises(ValueError):
        wire.unpack(wrong)
