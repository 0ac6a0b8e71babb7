"""The quick questions about arrays: a yes is always right."""

import numpy as np

from fastconv._core.runtime import arrays

F32 = np.dtype(np.float32)


class Image(np.ndarray):
    pass


def unaligned(shape):
    return np.zeros(4 * int(np.prod(shape)) + 1, np.uint8)[1:].view(F32).reshape(shape)


def test_plain():
    for fine in (np.zeros(3), np.zeros((2, 3), F32).T, np.float32(1) * np.zeros(()), np.zeros((0, 4))[:, ::2],
                 np.zeros(3)[::-1]):
        assert arrays.is_plain(np.asarray(fine))
    for other in (np.zeros(3, int), np.zeros(3, ">f4"), np.zeros(3, object), np.zeros(3).view(Image),
                  np.ma.zeros(3), unaligned(3), np.zeros(3, np.float16), np.zeros(3, np.longdouble), np.float64(1), 1.0,
                  [1.0], None, "x"):
        assert not arrays.is_plain(other)


def test_like():
    x = np.zeros((2, 3), F32)
    assert arrays.is_like(x, (2, 3), F32) and arrays.is_like(x[::-1], (2, 3), F32)
    for shape in ((3, 2), (2,), (2, 3, 1), ()):
        assert not arrays.is_like(x, shape, F32)
    assert not arrays.is_like(x, (2, 3), np.dtype(float)) and not arrays.is_like(x.tolist(), (2, 3), F32)


def test_room_wants_what_can_be_written():
    shape, read_only = (2, 3), np.zeros((2, 3), F32)
    read_only.flags.writeable = False
    assert arrays.is_room(np.zeros(shape, F32), shape, F32, ())
    for other in (read_only, np.zeros((3, 2), F32).T, np.zeros((2, 6), F32)[:, ::2], unaligned(shape), np.zeros(shape),
                  np.zeros(shape, ">f4"), np.zeros(shape, F32).view(Image), None, [[0.0] * 3] * 2):
        assert not arrays.is_room(other, shape, F32, ())


def test_room_is_apart_from_inputs():
    rng = np.random.default_rng(0)
    buffer = np.zeros(200, F32)
    answers = set()
    for _ in range(3000):
        begin, length = rng.integers(0, 150), rng.integers(0, 30)
        out = buffer[begin:begin + length]
        first, last, step = rng.integers(-200, 200, 3)
        given = buffer[first:last:step or 1]
        room = arrays.is_room(out, out.shape, F32, (None, given[:, None]))
        assert not (room and np.shares_memory(out, given))
        low, high = np.lib.array_utils.byte_bounds(given)
        apart = high <= out.ctypes.data or out.ctypes.data + out.nbytes <= low or not given.size or not out.size
        assert room == apart
        answers.add(room)
    assert answers == {True, False}


def test_a_copy_has_the_same_bytes():
    a = np.array([[0.0, np.nan], [1.0, -np.inf]], F32)
    assert arrays.is_copy(a.copy(), a) and arrays.is_copy(a, a) and arrays.is_copy(np.zeros((0, 3)), np.zeros((0, 3)))
    for index, value in (((0, 0), -0.0), ((1, 1), np.inf), ((0, 1), 0.0)):
        b = a.copy()
        b[index] = value
        assert not arrays.is_copy(b, a)
    for other in (a.reshape(4), a.reshape(1, 2, 2), np.zeros((2, 2)), np.asfortranarray(a), np.repeat(a, 2, 1)[:, ::2],
                  a.astype(">f4"), a.view(Image), a.tolist(), None):
        assert not arrays.is_copy(other, a)


def test_held():
    class Owner:
        pass

    class Options(dict):
        pass

    def record(owner):
        held = owner if isinstance(owner, dict) else vars(owner)
        return owner, type(owner), tuple(held), tuple(held.values())

    owner, options = Owner(), Options(a=[1], b=None)
    owner.value, owner.array = 5.5, np.zeros(3)
    records = record(owner), record(options), record({})
    assert arrays.are_held(records) and arrays.are_held(())
    owner.array += 1
    options["a"].append(2)
    assert arrays.are_held(records)    # the very objects are there
    kept, owner.array = owner.array, owner.array.copy()
    assert not arrays.are_held(records)
    owner.array = kept
    assert arrays.are_held(records)
    owner.more = None
    assert not arrays.are_held(records)
    del owner.more
    assert arrays.are_held(records)
    options["a"] = options.pop("a")    # the same, in another order
    assert not arrays.are_held(records[1:])
    owner.__class__ = type("Other", (), {})
    assert not arrays.are_held(records[:1])
