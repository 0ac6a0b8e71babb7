# What it has is for Cython.
