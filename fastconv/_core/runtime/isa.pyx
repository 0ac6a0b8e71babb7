"""The instruction set in use: chosen once, at import.

The best set that is compiled in and that this CPU has; `FASTCONV_ISA` forces a lower one.
Other modules take the table of kernels from here (`from fastconv._core.runtime.isa cimport kernels`).
"""

import os

from fastconv._core.runtime.kernels cimport (
    fc_isa_count, fc_isa_name, fc_isa_of_intel, fc_isa_supported, fc_isa_table, fc_table,
)

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


def costs():
    """Names of tables of costs that may hold for the instruction set in use on this CPU, the closest first."""
    return (f"{in_use()} of Intel", in_use()) if fc_isa_of_intel() else (in_use(),)


def vector_bytes():
    """Bytes of one vector register of the instruction set in use."""
    return kernels.f32.vector * 4


def tile(int itemsize):
    """Elements of a vector, and rows of the tallest tile of a product, for elements of so many bytes."""
    return (kernels.f32.vector, kernels.f32.mr) if itemsize == 4 else (kernels.f64.vector, kernels.f64.mr)


def choice(forced, names, built, choices):
    """The set to take: the one that is forced, or else the highest of `choices`. All lists are in order, lowest first:
    those of this architecture, those compiled in, those of them that this CPU has."""
    if not choices:
        raise ImportError(f"fastconv was built without any instruction set that this CPU has: compiled in are {built}")
    if not forced:
        return choices[len(choices) - 1]
    if forced in choices:
        return forced
    why = "there is no such set"
    if forced in built:
        why = "this CPU does not have it"
    elif forced in names:
        why = "this build does not have it"
    raise ImportError(f"FASTCONV_ISA={forced!r}: {why}; possible are {', '.join(choices)}")


kernels = fc_isa_table(known().index(choice(os.environ.get("FASTCONV_ISA", ""), known(), compiled(), usable())))
