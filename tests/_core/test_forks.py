"""A forked process computes with one thread, whoever forked it, whoever used OpenMP before and
whatever the parent was at."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys

import pytest
from processes import in_new_process

from fastconv._core.runtime import threads

pytestmark = [pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about fork on Linux"),
              pytest.mark.skipif(not threads.openmp(), reason="this build has no OpenMP")]

COMPILER = os.environ.get("CC", "gcc").split()[0]
LIBRARY = """
#include <omp.h>
int use(void) {
    int threads = 0;
    #pragma omp parallel num_threads(2) reduction(+ : threads)
    threads += 1;
    return threads;
}
"""

# Arguments: who used OpenMP before (nobody, fastconv, torch, or a path: that of a C library), busy or idle,
# repetitions, and the ways to fork. A child that hangs is ended by its alarm.
FORKS = """
import ctypes, multiprocessing, os, signal, sys, threading, time, traceback, warnings

used, state, repetitions, ways = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
warnings.simplefilter("ignore")  # Python's, of forks beside threads
if used == "torch" or "DataLoader" in ways:
    import torch
import numpy as np
import fastconv as fc

rng = np.random.default_rng(0)
x, weight, large = (rng.standard_normal(shape).astype(np.float32)
                    for shape in ((2, 16, 64, 64), (16, 16, 3, 3), (2, 16, 21, 21)))

def compute():
    y, index = fc.max_pool2d(x, 3, return_indices=True)
    return [fc.conv2d(x, weight, padding=1), fc.conv2d(x, weight, algorithm="gemm"),
            fc.conv2d(x, large, algorithm="fft"), y, fc.max_pool2d_backward(y, index, x.shape, 3),
            *fc.conv2d_backward(x, x, weight, padding=1), fc.softmax(fc.relu(x))]

fc.set_num_threads(1)
wanted = compute()
fc.set_num_threads(2)

def check():
    signal.alarm(60)
    assert fc.get_num_threads() == 1
    fc.set_num_threads(2)
    with fc.num_threads(3):
        assert fc.get_num_threads() == 1
        assert all(np.array_equal(a, b) for a, b in zip(compute(), wanted, strict=True))

class Checked:
    def __len__(self):
        return 2
    def __getitem__(self, index):
        check()
        return index

def child():
    try:
        check()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

def wait_for(pid):
    assert os.waitpid(pid, 0)[1] == 0

def fork():
    pid = os.fork()
    if not pid:
        child()
    wait_for(pid)

def fork_twice():
    pid = os.fork()
    if not pid:
        fork()
        os._exit(0)
    wait_for(pid)

def fork_in_c():
    # C code that knows nothing of Python. Beside other threads a child must tell Python, or its lock is never free;
    # and nobody may have asked for that lock just before.
    c, python, interval = ctypes.PyDLL(None), ctypes.pythonapi, sys.getswitchinterval()
    if state == "busy":
        sys.setswitchinterval(1000)
        time.sleep(0.02)
        python.PyOS_BeforeFork()
    pid = c.fork()
    if not pid:
        if state == "busy":
            python.PyOS_AfterFork_Child()
        child()
    if state == "busy":
        python.PyOS_AfterFork_Parent()
        sys.setswitchinterval(interval)
    wait_for(pid)

def fork_in_a_thread():
    failed = []
    def work():
        try:
            fork()
        except BaseException as error:
            failed.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed, failed

def multiprocess():
    process = multiprocessing.get_context("fork").Process(target=check)
    process.start()
    process.join()
    assert process.exitcode == 0

def load():
    loader = torch.utils.data.DataLoader(Checked(), num_workers=1, multiprocessing_context="fork", timeout=100)
    assert len(list(loader)) == 2

WAYS = {"os.fork": fork, "os.fork twice": fork_twice, "C": fork_in_c, "a thread": fork_in_a_thread,
        "multiprocessing": multiprocess, "DataLoader": load}

if used == "fastconv":
    compute()
elif used == "torch":
    torch.set_num_threads(2)
    torch.nn.functional.conv2d(torch.ones(8, 16, 128, 128), torch.ones(16, 16, 3, 3))
elif used != "nobody":
    assert ctypes.CDLL(used).use() == 2

stop = threading.Event()

def keep_busy():
    with fc.num_threads(1 if used == "nobody" else 2):
        while not stop.is_set():
            fc.conv2d(x, weight)
            for _ in range(10):
                fc.relu(x[0])

busy = threading.Thread(target=keep_busy)
if state == "busy":
    busy.start()
try:
    for way in ways:
        for _ in range(repetitions):
            print(way, flush=True)
            WAYS[way]()
    assert fc.get_num_threads() == 2
    if state == "idle":
        assert all(np.array_equal(a, b) for a, b in zip(compute(), wanted, strict=True))
finally:
    stop.set()
"""
WAYS = ["os.fork", "os.fork twice", "C", "a thread", "multiprocessing"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A C library that uses OpenMP."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed")
    folder = tmp_path_factory.mktemp("library")
    (folder / "use.c").write_text(LIBRARY)
    done = subprocess.run([COMPILER, "-shared", "-fPIC", "-fopenmp", "-o", folder / "use.so", folder / "use.c"],
                          capture_output=True)
    if done.returncode:
        pytest.skip(f"{COMPILER} compiles nothing for OpenMP")
    return folder / "use.so"


def check_forks(used, state, ways, repetitions, request):
    if (used == "torch" or "DataLoader" in ways) and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    user = request.getfixturevalue("library") if used == "a C library" else used
    assert (in_new_process(FORKS, user, state, repetitions, *ways).split("\n")[:-1]
            == [way for way in ways for _ in range(repetitions)])


USERS = ["nobody", "fastconv", "torch", "a C library"]


@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("used", USERS)
def test_forked_children_compute_with_one_thread(used, state, request):
    check_forks(used, state, [*WAYS, "DataLoader"] if used == "torch" else WAYS, 2, request)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("used", USERS)
def test_each_way_to_fork_ten_times(used, state, request):
    ways = [*WAYS, "DataLoader"] if importlib.util.find_spec("torch") else WAYS
    check_forks(used, state, ways, 10, request)


@pytest.mark.parametrize("method, threads", [("fork", 1), ("forkserver", 1), ("spawn", 2)])
def test_processes_that_multiprocessing_starts(method, threads):
    """A fork server forks before fastconv is imported, which is too late for a handler: the kernel tells."""
    script = """
    import multiprocessing, sys
    import fastconv as fc

    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
            pool.apply(fc.set_num_threads, (2,))
            print(pool.apply(fc.get_num_threads))
    """
    assert int(in_new_process(script, method)) == threads


def test_a_child_that_imports_fastconv_itself(library):
    """After its parent used OpenMP by another library."""
    script = """
    import ctypes, os, signal, sys
    assert ctypes.CDLL(sys.argv[1]).use() == 2
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        import numpy as np
        import fastconv as fc
        fc.set_num_threads(2)
        fc.conv2d(np.ones((2, 16, 64, 64)), np.ones((16, 16, 3, 3)))
        os._exit(0 if fc.get_num_threads() == 1 else 1)
    print(os.waitpid(pid, 0)[1])
    """
    assert int(in_new_process(script, library)) == 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the number of a system call")
@pytest.mark.parametrize("used", ["fastconv", "a C library"])
def test_a_system_call_that_makes_a_process(used, library):
    """No handler runs, neither Python's nor the C library's."""
    script = """
    import ctypes, os, platform, signal, sys
    import numpy as np
    import fastconv as fc
    x, weight = np.ones((2, 16, 64, 64), np.float32), np.ones((16, 16, 3, 3), np.float32)
    fc.set_num_threads(2)
    assert fc.get_num_threads() == 2
    if sys.argv[1] == "fastconv":
        fc.conv2d(x, weight)
    else:
        assert ctypes.CDLL(sys.argv[2]).use() == 2
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    pid = ctypes.PyDLL(None).syscall(clone, int(signal.SIGCHLD), 0, 0, 0, 0)
    if not pid:
        signal.alarm(60)
        correct = np.allclose(fc.conv2d(x, weight), 16 * 9) and fc.get_num_threads() == 1
        os._exit(0 if correct else 1)
    print(os.waitpid(pid, 0)[1])
    assert fc.get_num_threads() == 2
    """
    assert int(in_new_process(script, used, library)) == 0


def test_a_new_program_uses_threads_again():
    script = """
    import os, sys
    pid = os.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-c", "import fastconv as fc; fc.set_num_threads(2); "
                                                        "print(fc.get_num_threads())"])
    assert os.waitpid(pid, 0)[1] == 0
    """
    assert int(in_new_process(script)) == 2


def test_a_child_forked_during_the_first_call_of_a_thread():
    """The operations are imported with fastconv, so no thread holds an import's lock while
    it computes for the first time."""
    for function in ("conv2d(x, w, padding=1)", "max_pool2d(x, 2)",
                     "conv2d(x[:, :1], np.ones((1, 1, 31, 31), np.float32), padding=15)"):
        in_new_process(f"""
            import os, signal, threading
            import numpy as np, fastconv as fc
            x, w = np.ones((4, 32, 64, 64), np.float32), np.ones((32, 32, 3, 3), np.float32)
            threading.Thread(target=lambda: [fc.{function} for _ in range(10**6)], daemon=True).start()
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    signal.alarm(60)  # a child that hangs dies of it
                    fc.{function}
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            os._exit(0)
        """)


@pytest.mark.parametrize("name", ["fastconv.nn", "fastconv.training", "fastconv.data"])
def test_a_child_forked_while_a_thread_imports_for_the_first_time(name):
    """The thread holds the imports' locks, which nobody would free in the child. It stands still within its import
    until the fork has begun."""
    in_new_process("""
        import importlib, os, signal, sys, threading
        import fastconv as fc
        begun, forking = threading.Event(), threading.Event()

        class Pause:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name.startswith(sys.argv[1] + "."):
                    begun.set()
                    assert forking.wait(60)

        sys.meta_path.insert(0, Pause)
        os.register_at_fork(before=forking.set)    # the last one registered is called first
        thread = threading.Thread(target=importlib.import_module, args=sys.argv[1:])
        thread.start()
        assert begun.wait(60)
        assert not hasattr(sys.modules[sys.argv[1]], "__all__")    # it has only just begun
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            assert fc.nn.Conv2d(1, 1, 3) is not None
            assert importlib.import_module(sys.argv[1]).__all__
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
    """, name)
