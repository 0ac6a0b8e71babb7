# For other Cython modules only: products.pxd.
