"""
A filter at one position
========================

The patch under the filter, the filter's slice, their products, and the cell of the feature map that they add up to.
"""

from fastconv import data, plots, walk

zero = data.digits("test").images[0]
sobel = walk.FILTERS["sobel-x"][None, None]
display = plots.ConvolutionDisplay.from_arrays(zero, sobel, padding=1, at=(8, 12)).plot()
print(display.describe())
