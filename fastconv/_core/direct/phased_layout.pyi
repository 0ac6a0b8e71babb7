# For other Cython modules only: phased_layout.pxd.
