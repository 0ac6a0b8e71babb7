# For other Cython modules only: planes.pxd.
