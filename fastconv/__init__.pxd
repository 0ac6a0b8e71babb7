"""What ``cimport fastconv`` brings: the C API, for extension modules in Cython. See c_api/include/fastconv.h."""
from fastconv.c_api.declarations cimport *
