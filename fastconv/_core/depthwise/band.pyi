# For other Cython modules only: band.pxd.
