"""The instruction set in use: chosen once, at import.

The best set that is compiled in and that this CPU has; `FASTCONV_ISA` forces a lower one. Other modules take the table of
kernels from here (`from fastconv._core.runtime.isa cimport kernels`).
"""

import os

from fastconv._core.runtime.kernels cimport fc_isa_count, fc_isa_name, fc_isa_supported, fc_isa_table, fc_table

cdef extern from *:
    """
    #if defined(__clang__)
    #define FC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FC_COMPILER "gcc " __VERSION__
    #else
    #define FC_COMPILER "unknown"
    #endif
    """
    const char *FC_COMPILER

cdef const fc_table *kernels = NULL

COMPILER = FC_COMPILER.decode()


def known():
    """Names of the instruction sets of this architecture, lowest first."""
    return [fc_isa_name(i).decode() for i in range(fc_isa_count())]


def compiled():
    """Names of those that were compiled into this build."""
    return [fc_isa_name(i).decode() for i in range(fc_isa_count()) if fc_isa_table(i) != NULL]


def usable():
    """Names of those that were compiled in and that this CPU has: the choices of `FASTCONV_ISA`."""
    return [fc_isa_name(i).decode() for i in range(fc_isa_count()) if fc_isa_table(i) != NULL and fc_isa_supported(i)]


def in_use():
    """Name of the instruction set whose kernels run, read from its table."""
    return kernels.name.decode()


def vector_bytes():
    """Bytes of one vector register of the instruction set in use."""
    return kernels.f32.vector * 4


def tile(int itemsize):
    """Elements of a vector, and rows of the tallest tile of a product, for elements of so many bytes."""
    return (kernels.f32.vector, kernels.f32.mr) if itemsize == 4 else (kernels.f64.vector, kernels.f64.mr)


cdef _choose():
    global kernels
    choices = usable()
    if not choices:
        raise ImportError(f"fastconv was built without any instruction set that this CPU has: compiled in are {compiled()}")
    forced = os.environ.get("FASTCONV_ISA", "")
    if forced and forced not in choices:
        why = "this CPU does not have it" if forced in compiled() else "this build does not have it" if forced in known() else "there is no such set"
        raise ImportError(f"FASTCONV_ISA={forced!r}: {why}; possible are {', '.join(choices)}")
    kernels = fc_isa_table(known().index(forced or choices[len(choices) - 1]))

_choose()
