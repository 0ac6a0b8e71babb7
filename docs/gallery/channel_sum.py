"""
Channels added up
=================

A colour photo under one filter: each channel has its own slice, and the channel maps add up to one feature map.
"""

import numpy as np

from fastconv import data, plots, walk

photo = data.sample("house")
sobel = walk.FILTERS["sobel-x"]
display = plots.ChannelSumDisplay.from_arrays(photo, np.stack([sobel] * 3)[None]).plot()
print(display.describe())
