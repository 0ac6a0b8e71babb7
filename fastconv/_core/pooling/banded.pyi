# For other Cython modules only: banded.pxd.
