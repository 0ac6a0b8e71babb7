"""The thread policy: how many threads a call uses, and the loop over its units. Every `prange` takes its `num_threads`
from here.

The limit is, in this order: `num_threads(n)` in a with block of this Python thread, `set_num_threads(n)`, the
environment's `FASTCONV_NUM_THREADS`, then `OMP_NUM_THREADS`, then the CPUs this process may use. A call uses fewer
where it has little work. The split of the work never depends on the number, so results are the same bits for any.

GCC's OpenMP runtime cannot be used in a process that was forked after it had started threads: it would wait for threads
that no longer exist. Another library may have started them, since a process has one such runtime, and C code may have
forked. So in every forked process everything runs on one thread. This module's mark is gone there: it lies in a page
that Linux wipes in a child, however that was made, and a handler of the C library's takes it away where there is no
such page. Where the fork came before this module the kernel says that there was one.

That runtime ends the process where it cannot start a thread. It keeps the threads of a Python thread's teams. So before
a team that is larger than any that this Python thread has had, the threads that it lacks are started and joined here,
and it gets as many as that were.
"""

import os

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.stdint cimport UINT32_MAX
from libc.stdlib cimport free, malloc

cdef extern from *:
    """
    #include <pthread.h>
    #ifdef __linux__
    #include <sched.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #endif
    #define FC_MOST_THREADS 1024
    static int fc_here = 1, *fc_first = &fc_here; /* the mark of a process that was not forked: see above */
    static int fc_forked(void) { return !*fc_first; }
    static void fc_mark_forked(void) { *fc_first = 0; }
    static int fc_notice_forks(void) {
    #ifdef MADV_WIPEONFORK
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page != MAP_FAILED && madvise(page, 4096, MADV_WIPEONFORK) == 0) {
            fc_first = (int *)page;
            *fc_first = 1;
        }
    #endif
        return pthread_atfork(NULL, NULL, fc_mark_forked);
    }
    /* Of threads besides this one, up to `most`, as many as can be started at a time: each waits for the last.
       They count until Linux has forgotten them, which may be after the join. */
    typedef struct { pthread_mutex_t *gate; pthread_t thread; long number; } fc_probe;
    static void *fc_run(void *data) {
        fc_probe *probe = (fc_probe *)data;
    #ifdef __linux__
        probe->number = syscall(SYS_gettid);
    #endif
        pthread_mutex_lock(probe->gate);
        pthread_mutex_unlock(probe->gate);
        return NULL;
    }
    static int fc_count_startable(int most) {
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        fc_probe probes[FC_MOST_THREADS];
        int count = 0;
        pthread_mutex_lock(&gate);
        for (; count < most; count++) {
            probes[count].gate = &gate;
            if (pthread_create(&probes[count].thread, NULL, fc_run, &probes[count])) break;
        }
        pthread_mutex_unlock(&gate);
        for (int i = 0; i < count; i++) pthread_join(probes[i].thread, NULL);
    #ifdef __linux__
        for (int i = 0, tries = 1000; i < count; i++)
            while (tries-- > 0 && syscall(SYS_tgkill, getpid(), probes[i].number, 0) == 0) sched_yield();
    #endif
        return count;
    }
    static _Thread_local int fc_largest_team = 1; /* that this Python thread was given */
    static _Thread_local int fc_thread_override; /* 0: none */
    static int fc_limit = 1; /* of all threads, one of which may set it while another reads it */
    static int fc_get_limit(void) { return __atomic_load_n(&fc_limit, __ATOMIC_RELAXED); }
    static int fc_exchange_limit(int n) { return __atomic_exchange_n(&fc_limit, n, __ATOMIC_RELAXED); }
    #ifdef _OPENMP
    #include <omp.h>
    #define FC_OPENMP _OPENMP
    static void fc_load_openmp(void) { omp_get_num_procs(); }
    #else
    #define FC_OPENMP 0
    static void fc_load_openmp(void) {}
    #endif
    """
    int FC_MOST_THREADS
    bint fc_forked()
    void fc_mark_forked()
    int fc_notice_forks()
    int fc_count_startable(int most)
    int fc_largest_team
    void fc_load_openmp()
    int fc_thread_override
    int fc_get_limit()
    int fc_exchange_limit(int n)
    int FC_OPENMP

# Units of work for a team. Each thread starts with an even part of its own, the same one in every call, so that what it
# reads and writes there is still in its caches (to write a line that another core has written takes 100 ns); when it
# has done that, it draws units from the others' ends, so that a core that is slow or busy keeps nobody waiting.
cdef extern from *:
    """
    #include <stddef.h>
    typedef struct {
        ptrdiff_t left;        /* units that nobody has drawn, or less than none: who takes one off may draw one */
        ptrdiff_t first, last; /* the next one for the share's own thread, and behind the next one for others */
        char rest[64 - 3 * sizeof(ptrdiff_t)]; /* of a cache line */
    } fc_share;
    static void fc_deal(fc_share *shares, int team, ptrdiff_t units) {
        for (int t = 0; t < team; t++) {
            ptrdiff_t each = units / team, more = units % team;
            shares[t].first = each * t + (t < more ? t : more);
            shares[t].left = each + (t < more);
            shares[t].last = shares[t].first + shares[t].left;
        }
    }
    static ptrdiff_t fc_draw(fc_share *shares, int team, int thread) {
        for (int t = 0; t < team; t++) {
            fc_share *share = &shares[(thread + t) % team];
            if (__atomic_load_n(&share->left, __ATOMIC_RELAXED) > 0
                && __atomic_fetch_sub(&share->left, 1, __ATOMIC_RELAXED) > 0)
                return t ? __atomic_sub_fetch(&share->last, 1, __ATOMIC_RELAXED) : share->first++;
        }
        return -1;
    }
    """
    ctypedef struct Share "fc_share":
        pass
    void deal "fc_deal"(Share *shares, int team, Py_ssize_t units) noexcept nogil
    Py_ssize_t draw "fc_draw"(Share *shares, int team, int thread) noexcept nogil    # -1 where none is left

# Under this much work (about the nanoseconds that it takes on one thread) a second thread costs more than it saves.
cdef double SMALL = 10e3

MOST = FC_MOST_THREADS


cdef int limit() noexcept:
    if FC_OPENMP == 0 or fc_forked():
        return 1
    return fc_thread_override if fc_thread_override else fc_get_limit()


cdef int team(double work) noexcept:
    cdef int n = limit()
    if n > 1 and work < SMALL * n:
        n = <int>(work / SMALL)
        if n < 1:
            n = 1
    return n if n <= fc_largest_team else largest_team(n)


cdef int largest_team(int n) noexcept:
    """A team of n threads, or of as many as there are: more than this Python thread has had."""
    global fc_largest_team
    fc_largest_team += fc_count_startable(n - fc_largest_team)
    return fc_largest_team


cdef void in_parallel(void (*unit)(const void *call, Py_ssize_t index, floating *scratch) noexcept nogil,
                      const void *call, Py_ssize_t units, int team, Schedule schedule, floating *scratch,
                      Py_ssize_t scratch_size) noexcept nogil:
    """Does a call's units 0 .. units - 1 with a team, each thread with a scratch of its own, scratch_size elements
    apart.

    One thread goes through a plain loop: OpenMP takes more than a microsecond to make a team of one, which
    `use_threads_if` does. OWN_FIRST falls back to WHEN_READY where there is no memory for the shares.
    """
    cdef Py_ssize_t i
    cdef Share *shares = NULL
    if team == 1:
        for i in range(units):
            unit(call, i, scratch)
        return
    if schedule == OWN_FIRST and units <= UINT32_MAX:
        shares = <Share *>malloc(team * sizeof(Share))
    if shares != NULL:
        deal(shares, team, units)
        for i in prange(team, num_threads=team, schedule="static"):
            do_share(unit, call, shares, team, <int>i, scratch + threadid() * scratch_size)
        free(shares)
    elif schedule == EVENLY:
        for i in prange(units, num_threads=team, schedule="static"):
            unit(call, i, scratch + threadid() * scratch_size)
    else:
        for i in prange(units, num_threads=team, schedule="dynamic"):
            unit(call, i, scratch + threadid() * scratch_size)


cdef void do_share(void (*unit)(const void *call, Py_ssize_t index, floating *scratch) noexcept nogil, const void *call,
                   Share *shares, int team, int thread, floating *scratch) noexcept nogil:
    """What one thread does with OWN_FIRST."""
    cdef Py_ssize_t i = draw(shares, team, thread)
    while i >= 0:
        unit(call, i, scratch)
        i = draw(shares, team, thread)


def openmp():
    """The date of the OpenMP specification that the build follows, as yyyymm; 0 without OpenMP."""
    return FC_OPENMP


def get_num_threads():
    """Threads that a call from this Python thread uses at most."""
    return limit()


def set_limit(int n):
    """The limit for all Python threads; returns what it was."""
    return fc_exchange_limit(n)


def set_override(int n):
    """The limit for this Python thread alone, 0 for none; returns what it was."""
    global fc_thread_override
    before = fc_thread_override
    fc_thread_override = n
    return before


def _forked_before():
    """Whether this process was forked before now, and has begun no new program since: PF_FORKNOEXEC in Linux's
    flags."""
    try:
        with open("/proc/self/stat", "rb") as file:
            flags = file.read().rpartition(b")")[2].split()[6]
    except OSError:
        return False
    return bool(int(flags) & 0x40)


def _from_environment():
    for name in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()   # OpenMP allows a list, one for each level of nesting
        if not text:
            continue
        if text.isdecimal() and 1 <= int(text) <= MOST:
            return int(text)
        if name == "FASTCONV_NUM_THREADS":
            raise ImportError(f"FASTCONV_NUM_THREADS={text!r} must be a whole number from 1 to {MOST}")
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


fc_exchange_limit(_from_environment())
if fc_notice_forks():
    raise MemoryError("a handler for forks cannot be registered")
if _forked_before():
    fc_mark_forked()
fc_load_openmp()    # a linker leaves out a library that nothing is called from; see __init__.py
