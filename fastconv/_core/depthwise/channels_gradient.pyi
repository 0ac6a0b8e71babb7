# For other Cython modules only: channels_gradient.pxd.
