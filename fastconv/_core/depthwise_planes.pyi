# For other Cython modules only: depthwise_planes.pxd.
