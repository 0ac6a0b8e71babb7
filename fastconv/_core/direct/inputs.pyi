# For other Cython modules only: inputs.pxd.
