"""Floor 1: the compiled core. It checks nothing: arguments are checked in `fastconv.functional`.

GCC's OpenMP runtime lets threads without work spin for milliseconds before they sleep. On a machine that is busy with
something else that steals the time of the threads that have work: a training of 4 s took 75 s. It reads its settings
once, when it is loaded, which the import of `threads` does; so they are made here, where the user has made none, and taken
back for whatever comes later.
"""

import os

if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
    from fastconv._core.runtime import threads  # noqa: F401
else:
    os.environ["GOMP_SPINCOUNT"] = "1000"  # about 15 microseconds
    try:
        from fastconv._core.runtime import threads  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]
