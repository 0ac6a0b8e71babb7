# For other Cython modules only: gradient_layout.pxd.
