"""B of the data gradient of all phases: see phased_filters.pyx."""
from cython cimport floating

from fastconv._core.direct.phased_layout cimport PhasedCall

cdef void pack_phases(const PhasedCall *call, Py_ssize_t panel, Py_ssize_t *at, floating *b) noexcept nogil
