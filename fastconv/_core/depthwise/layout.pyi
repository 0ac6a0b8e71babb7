# For other Cython modules only: layout.pxd.
