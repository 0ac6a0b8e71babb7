# For other Cython modules only: winograd_layout.pxd.
