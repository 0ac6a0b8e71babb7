"""Uses the two modules that setup.py builds, and compares them with fastconv itself."""

import edges_c
import halves_cython
import numpy as np

import fastconv as fc

digits = np.ascontiguousarray(fc.data.digits("test").images[:8, 0])

outlines = np.empty_like(digits)
for digit, outline in zip(digits, outlines):
    edges_c.edges(digit, outline)
laplace = np.array([[[[0, -1, 0], [-1, 4, -1], [0, -1, 0]]]], np.float32)
np.testing.assert_array_equal(outlines, fc.conv2d(digits[:, None], laplace, padding=1, padding_mode="replicate")[:, 0])
print(f"edges_c: {len(digits)} digits, outlines to the bits of fc.conv2d")

halved = np.empty((8, 14, 14), np.float32)
halves_cython.halved(digits, halved, 2)
np.testing.assert_array_equal(halved, fc.max_pool2d(digits, 2))
print(f"halves_cython: {len(digits)} digits, halved in 2 threads to the bits of fc.max_pool2d")
