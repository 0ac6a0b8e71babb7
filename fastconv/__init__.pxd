"""What ``cimport fastconv`` brings: the C API, for extension modules in Cython. See docs/adapters/c.md."""
from fastconv.c_api.declarations cimport *
