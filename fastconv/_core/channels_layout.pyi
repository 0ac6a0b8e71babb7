# For other Cython modules only: channels_layout.pxd.
