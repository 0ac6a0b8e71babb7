"""What the user sets, and what show_config says."""

import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv._core.runtime import isa, memory, threads

with_openmp = pytest.mark.skipif(not threads.openmp(), reason="this build has one thread")


@pytest.fixture
def limit_as_before():
    before = threads.set_limit(1)
    threads.set_limit(before)
    yield
    threads.set_limit(before)


@with_openmp
def test_set_num_threads(limit_as_before):
    for n in (1, 2, 1024, np.int64(3)):
        fc.set_num_threads(n)
        assert fc.get_num_threads() == n
        assert fc.show_config("dicts")["threads"] == n


@with_openmp
def test_set_num_threads_is_for_all_threads(limit_as_before):
    other = threading.Thread(target=fc.set_num_threads, args=(7,))
    other.start()
    other.join()
    assert fc.get_num_threads() == 7


@with_openmp
def test_num_threads_is_for_its_block_and_thread(limit_as_before):
    fc.set_num_threads(4)
    seen = []
    with fc.num_threads(2):
        assert fc.get_num_threads() == 2
        other = threading.Thread(target=lambda: seen.append(fc.get_num_threads()))
        other.start()
        other.join()
        with fc.num_threads(3):
            assert fc.get_num_threads() == 3
        assert fc.get_num_threads() == 2
        fc.set_num_threads(5)    # for the others, and for afterwards
        assert fc.get_num_threads() == 2
    assert seen == [4] and fc.get_num_threads() == 5
    with pytest.raises(KeyError), fc.num_threads(1):
        raise KeyError
    assert fc.get_num_threads() == 5


@pytest.mark.parametrize("set_it", [fc.set_num_threads, lambda n: fc.num_threads(n).__enter__()], ids=["set", "with"])
@pytest.mark.parametrize(("n", "error", "message"), [
    (0, ValueError, "n must be from 1 to 1024 threads, got 0"),
    (-3, ValueError, "n must be from 1 to 1024 threads, got -3"),
    (1025, ValueError, "n must be from 1 to 1024 threads, got 1025"),
    (1 << 70, ValueError, f"n must be from 1 to 1024 threads, got {1 << 70}"),
    (2.0, TypeError, "n must be a whole number of threads, got 2.0"),
    (True, TypeError, "n must be a whole number of threads, got True"),
    ("2", TypeError, "n must be a whole number of threads, got '2'"),
    (None, TypeError, "n must be a whole number of threads, got None"),
])
def test_wrong_numbers_change_nothing(n, error, message, set_it):
    before = fc.get_num_threads()
    with pytest.raises(error) as refused:
        set_it(n)
    assert str(refused.value) == message and fc.get_num_threads() == before


def test_show_config():
    config = fc.show_config("dicts")
    assert list(config) == ["version", "numpy", "compiler", "isa", "threads", "openmp", "pool_mb"]
    assert config["version"] == fc.__version__ and config["numpy"] == np.__version__
    assert config["isa"] == {"in_use": isa.in_use(), "usable": isa.usable(), "compiled": isa.compiled(),
                             "missing": [name for name in isa.known() if name not in isa.compiled()]}
    assert config["threads"] == fc.get_num_threads()
    assert config["openmp"] == (str(threads.openmp()) if threads.openmp() else None)
    assert config["pool_mb"] == memory.pool_statistics()["bound"] >> 20


def test_show_config_prints_the_same(capsys):
    assert fc.show_config() is None
    config, lines = fc.show_config("dicts"), capsys.readouterr().out.splitlines()
    assert lines[0] == f"fastconv {config['version']}, NumPy {config['numpy']}, built with {config['compiler']}"
    assert lines[1].startswith(f"instruction set   {config['isa']['in_use']} "
                               f"(this CPU: {', '.join(config['isa']['usable'])};")
    assert lines[2] == f"threads           {config['threads']}"
    assert lines[3].startswith(f"OpenMP            {config['openmp'] or 'not in this build'}")
    assert lines[4:] == [f"buffer pool       {config['pool_mb']} MB"]


def test_show_config_in_another_mode():
    with pytest.raises(ValueError) as refused:
        fc.show_config("json")
    assert str(refused.value) == "mode must be 'stdout' or 'dicts', got 'json'"
    with pytest.raises(TypeError) as refused:
        fc.show_config(1)
    assert str(refused.value) == "mode must be 'stdout' or 'dicts', got int"
