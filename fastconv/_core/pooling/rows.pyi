# For other Cython modules only: rows.pxd.
