# For other Cython modules only: lanes.pxd.
