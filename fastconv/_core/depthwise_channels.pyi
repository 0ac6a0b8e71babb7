# For other Cython modules only: depthwise_channels.pxd.
