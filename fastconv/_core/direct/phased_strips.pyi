# For other Cython modules only: phased_strips.pxd.
