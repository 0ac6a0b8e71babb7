# For other Cython modules only: filters.pxd.
