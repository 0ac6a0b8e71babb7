# For other Cython modules only: panels.pxd.
