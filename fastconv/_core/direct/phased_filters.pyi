# For other Cython modules only: phased_filters.pxd.
