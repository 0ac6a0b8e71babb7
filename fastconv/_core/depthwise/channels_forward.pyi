# For other Cython modules only: channels_forward.pxd.
