# For other Cython modules only: channels.pxd.
