"""Memory: what is freed is used again, and never more of it is kept than the pool's bound; scratch is counted."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastconv._core.runtime import memory

MB = 1 << 20


@pytest.fixture(autouse=True)
def pool():
    """An empty pool of 8 MB."""
    gc.collect()
    before = memory.set_pool_bound(0)
    memory.set_pool_bound(8 * MB)
    yield
    memory.set_pool_bound(0)
    memory.set_pool_bound(before)


def address(array):
    return array.__array_interface__["data"][0]


def kept():
    found = memory.pool_statistics()
    return found["bytes"], found["blocks"]


@pytest.mark.parametrize("take", [memory.scratch, lambda size: memory.empty((size,), np.uint8)],
                         ids=["scratch", "array"])
def test_what_is_freed_is_kept_and_used_again(take):
    first = take(MB)
    assert kept() == (0, 0)
    where = address(first)
    del first
    assert kept() == (MB, 1)
    second = take(MB - 1000)    # of the same class of sizes
    assert address(second) == where and kept() == (0, 0)
    smaller = take(MB // 2)
    assert address(smaller) != where
    del second, smaller
    assert kept() == (MB + MB // 2, 2)


@pytest.mark.parametrize("size",
                         [0, 1, 63, 64, 65, 1000, 1024, 4097, 100_000, MB, MB + 1, 2 * MB - 1, 2 * MB, 5 * MB + 7])
def test_a_class_of_sizes_is_little_more_than_was_asked_for(size):
    block = memory.scratch(size)
    assert block.nbytes == size and address(block) % 64 == 0
    block[...] = 255
    del block
    bytes_kept, blocks = kept()
    assert blocks == 1 and max(size, 64) <= bytes_kept <= max(size * 9 / 8, size + 64)


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7, 5), (300, 700), (1 << 20, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_empty(shape, dtype):
    array = memory.empty(shape, dtype)
    assert type(array) is np.ndarray and array.shape == shape and array.dtype == dtype
    assert array.flags.owndata and array.flags.c_contiguous and array.flags.writeable and address(array) % 64 == 0
    if array.nbytes >= 2 * MB:
        assert address(array) % 4096 == 0
    array.fill(1)
    assert (array == 1).all()


def test_never_more_than_the_bound():
    """The oldest leave; what is larger than the bound is not kept at all."""
    blocks = [memory.scratch(MB) for _ in range(20)]
    where = [address(block) for block in blocks]
    while blocks:
        del blocks[0]
        assert kept()[0] <= 8 * MB
    assert kept() == (8 * MB, 8)
    again = [memory.scratch(MB) for _ in range(8)]
    assert {address(block) for block in again} == set(where[-8:])
    del again
    large = memory.scratch(9 * MB)
    del large
    assert kept() == (8 * MB, 8)


def test_at_most_so_many_blocks():
    blocks = [memory.scratch(100) for _ in range(500)]
    blocks.clear()
    assert kept() == (256 * 128, 256)


def test_a_smaller_bound_frees_at_once():
    blocks = [memory.scratch(MB) for _ in range(6)]
    blocks.clear()
    assert kept() == (6 * MB, 6)
    assert memory.set_pool_bound(2 * MB) == 8 * MB and kept() == (2 * MB, 2)
    assert memory.set_pool_bound(0) == 2 * MB and kept() == (0, 0)
    block = memory.scratch(MB)
    del block
    assert kept() == (0, 0) and memory.pool_statistics()["bound"] == 0


def test_what_was_taken_without_a_pool_does_not_go_into_one():
    """Its size is none of the classes."""
    memory.set_pool_bound(0)
    block = memory.scratch(MB + 1)
    memory.set_pool_bound(8 * MB)
    del block
    assert kept() == (0, 0)


def test_threads_that_take_and_free_at_once():
    """The bound holds, and nobody has what somebody else has."""
    errors = []

    def work(seed):
        rng = np.random.default_rng(seed)
        held = []
        for _ in range(2000):
            if held and rng.random() < 0.5:
                block, value = held.pop(rng.integers(len(held)))
                if not (block == value).all():
                    errors.append(seed)
            else:
                value = rng.integers(256)
                block = memory.scratch(int(rng.integers(1, 20_000)))
                block[...] = value
                held.append((block, value))
            if kept()[0] > 8 * MB:
                errors.append("bound")

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []


def test_scratch_is_counted():
    before, _ = memory.scratch_taken()
    first = memory.scratch(1000)
    second = memory.scratch(500)
    assert memory.scratch_taken() == (before + 1500, before + 1500)
    del second
    third = memory.scratch(100)
    assert memory.scratch_taken() == (before + 1100, before + 1500)
    del first, third
    assert memory.scratch_taken() == (before, before + 1100)
    array = memory.empty((1000,), np.float32)    # a result is none
    assert memory.scratch_taken() == (before, before)
    del array


def test_scratch_is_counted_where_threads_overlap():
    before, _ = memory.scratch_taken()

    def work():
        for _ in range(20_000):
            memory.scratch(64)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert memory.scratch_taken()[0] == before


def test_too_much_is_a_memory_error():
    with pytest.raises(MemoryError) as refused:
        memory.scratch(1 << 62)
    assert str(refused.value) == f"{1 << 62} bytes cannot be allocated"
    for shape in ((1 << 58,), (1 << 40, 1 << 40), (1 << 32, 1 << 32, 4)):    # the last is 2**66 elements
        with pytest.raises(MemoryError) as refused:
            memory.empty(shape, np.float32)
        assert str(refused.value) == (
            f"an array of shape {shape} and type float32 ({4 * int(np.prod(shape, dtype=object))} bytes) "
            "cannot be allocated")
    with pytest.raises(ValueError, match="an array has at most 64 dimensions, got 65"):
        memory.empty((1,) * 65, np.float32)
    assert kept() == (0, 0)


def imported(value):
    environment = {name: text for name, text in os.environ.items() if name != "FASTCONV_POOL_MB"}
    if value is not None:
        environment["FASTCONV_POOL_MB"] = value
    script = "from fastconv._core.runtime import memory; print(memory.pool_statistics()['bound'])"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.parametrize(("value", "wanted"), [(None, 256), ("0", 0), ("1", 1), (" 300 ", 300), ("1048576", 1 << 20)])
def test_the_variable_sets_the_bound(value, wanted):
    assert imported(value).stdout.split() == [str(wanted * MB)]


@pytest.mark.parametrize("value", ["-1", "1.5", "", "256MB", "1048577", "²"])
def test_a_variable_that_is_no_bound(value):
    done = imported(value)
    assert done.returncode == 1 and done.stdout == ""
    assert (done.stderr.splitlines()[-1]
            == f"ImportError: FASTCONV_POOL_MB={value!r} must be a whole number of MB, 0 or more")
