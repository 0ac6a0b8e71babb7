# For other Cython modules only: depthwise_band.pxd.
