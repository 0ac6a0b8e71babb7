# For other Cython modules only: outputs.pxd.
