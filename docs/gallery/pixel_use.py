"""
How often each pixel is used
============================

In how many positions of a 3 x 3 filter each pixel of an image is, without padding and with it: at the border less.
"""

from fastconv import plots

display = plots.PixelUseDisplay.from_sizes(8, 3, padding=1).plot()
print(display.describe())
