"""How many threads a call uses: the environment, the limits, and how many of them really start."""

import os
import subprocess
import sys
import threading

import pytest
from processes import in_new_process

from fastconv._core.runtime import threads

VARIABLES = ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS")
LIMIT = "from fastconv._core.runtime import threads; print(threads.get_num_threads())"

without_openmp = pytest.mark.skipif(not threads.openmp(), reason="this build has one thread")


def run(script, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300,
                          env={**environment, **variables})


def limit(**variables):
    done = run(LIMIT, **variables)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@without_openmp
@pytest.mark.parametrize(("variables", "wanted"), [
    ({"FASTCONV_NUM_THREADS": "3"}, 3),
    ({"FASTCONV_NUM_THREADS": " 5 "}, 5),
    ({"FASTCONV_NUM_THREADS": "1024"}, 1024),
    ({"OMP_NUM_THREADS": "4"}, 4),
    ({"OMP_NUM_THREADS": "7,2,1"}, 7),                               # one number for each level of nesting
    ({"FASTCONV_NUM_THREADS": "2", "OMP_NUM_THREADS": "6"}, 2),
    ({"FASTCONV_NUM_THREADS": "", "OMP_NUM_THREADS": "6"}, 6),
])
def test_variables(variables, wanted):
    assert limit(**variables) == wanted


@pytest.mark.parametrize("value", ["0", "1025", "-1", "2.0", "two", "1e2", "²"])
def test_a_wrong_number_is_an_error(value):
    done = run(LIMIT, FASTCONV_NUM_THREADS=value)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: FASTCONV_NUM_THREADS={value!r} must be a whole number from 1 to 1024")


CPUS = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot choose its CPUs here")


@without_openmp
@CPUS
def test_without_variables_as_many_as_cpus_that_the_process_may_use():
    cpus = len(os.sched_getaffinity(0))
    assert limit() == cpus
    assert limit(OMP_NUM_THREADS="many") == limit(OMP_NUM_THREADS="0") == cpus    # OpenMP ignores it, and so do we
    assert run(f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {LIMIT}").stdout.split() == ["1"]


@without_openmp
def test_limits_in_their_order():
    """A thread's own limit goes before that of all, and ends with its block; other threads do not see it."""
    seen = {}
    default = threads.set_limit(4)
    try:
        assert threads.get_num_threads() == 4 and threads.set_override(2) == 0
        assert threads.get_num_threads() == 2
        other = threading.Thread(target=lambda: seen.update(other=threads.get_num_threads()))
        other.start()
        other.join()
        assert seen == {"other": 4}
        assert threads.set_limit(3) == 4 and threads.get_num_threads() == 2
        assert threads.set_override(0) == 2 and threads.get_num_threads() == 3
    finally:
        threads.set_override(0)
        threads.set_limit(default)


STARTED = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import fastconv as fc
fc.set_num_threads(int(sys.argv[1]))
size = int(sys.argv[2])
fc.conv2d(np.zeros((2, 32, size, size), np.float32), np.zeros((32, 32, 1, 1), np.float32), algorithm="direct")
print(len(os.listdir("/proc/self/task")))
"""


@without_openmp
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's list of threads")
@pytest.mark.parametrize(("allowed", "size", "wanted"), [(1, 100, 1), (2, 100, 2), (3, 100, 3), (3, 2, 1)])
def test_threads_that_start(allowed, size, wanted):
    """All that may, where there is work; none for a call that takes less than a thread costs."""
    assert int(in_new_process(STARTED, allowed, size)) == wanted


FEW = """
import os, resource, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import fastconv as fc

x, weight, large = (np.random.default_rng(0).standard_normal(shape, np.float32)
                    for shape in ((2, 16, 128, 128), (16, 16, 3, 3), (2, 16, 31, 31)))

def compute():
    return [fc.conv2d(x, weight, padding=1), fc.conv2d(x, weight, algorithm="direct"), fc.conv2d(x, large),
            *fc.conv2d_backward(x, x, weight, padding=1), fc.relu(x), fc.softmax(x), fc.max_pool2d(x, 3)]

fc.set_num_threads(1)
wanted = compute()

def check():
    assert all(np.array_equal(a, b) for a, b in zip(compute(), wanted, strict=True))

if os.getuid() == 0:    # whom nothing is denied
    os.setgid(54321)
    os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_NPROC)[1]))
for n in (2, 4, 3, 1, 4):
    fc.set_num_threads(n)
    check()
print(len(os.listdir("/proc/self/task")))
"""


@without_openmp
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's limits and its list of threads")
@pytest.mark.parametrize(("most", "wanted"), [(1, 1), (2, 2), (3, 3), (20, 4)])
def test_fewer_threads_do_where_no_more_can_be_started(most, wanted):
    """GCC's OpenMP runtime would end the process."""
    if most > 1 and os.getuid():
        pytest.skip("other processes of this user count too")
    assert int(in_new_process(FEW, most)) == wanted


WAITING = """
import os, sys
for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
    os.environ.pop(name, None)
if sys.argv[1]:
    os.environ[sys.argv[1]] = sys.argv[2]
import fastconv
print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(("name", "value", "wanted"), [
    ("", "", "None None"), ("OMP_WAIT_POLICY", "active", "active None"), ("GOMP_SPINCOUNT", "7", "None 7"),
])
def test_the_import_leaves_the_environment_as_it_was(name, value, wanted):
    assert in_new_process(WAITING, name, value).strip() == wanted
