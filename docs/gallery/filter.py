"""
The filters of a layer
======================

A row for each filter, a tile for each of its slices: here of the second convolution of a LeNet.
"""

from fastconv import nn, plots

display = plots.FilterDisplay.from_model(nn.models.lenet5(rng=0), layer=1, most=(8, 6)).plot()
print(display.describe())
