"""
Channels added up
=================

A still life in colour under one filter: each channel has its own slice, and the channel maps add up to one feature map.
"""

import numpy as np

from fastconv import data, plots, walk

still_life = data.sample("still-life")
sobel = walk.FILTERS["sobel-x"]
display = plots.ChannelSumDisplay.from_arrays(still_life, np.stack([sobel] * 3)[None]).plot()
print(display.describe())
