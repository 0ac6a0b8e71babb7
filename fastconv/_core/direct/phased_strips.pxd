"""X and Y of a block of the data gradient of all phases: see phased_strips.pyx."""
from cython cimport floating

from fastconv._core.direct.phased_layout cimport PhasedCall

cdef void fill_input(const PhasedCall *call, Py_ssize_t i, const floating *unused) noexcept nogil
cdef void strips_of_panel(const PhasedCall *call, Py_ssize_t panel, Py_ssize_t piece, const floating *b,
                          floating *scratch) noexcept nogil
