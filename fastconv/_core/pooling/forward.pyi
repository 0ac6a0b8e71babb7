# For other Cython modules only: forward.pxd.
