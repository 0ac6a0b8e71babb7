"""
Pooling
=======

Feature maps cut into windows of 2 x 2, the winner of each, and the maps of the winners: channel by channel.
"""

from fastconv import data, nn, plots, walk

maps = walk.forward(nn.models.lenet5(rng=0), data.digits("test").images[0]).layers[4].output
display = plots.PoolingDisplay.from_arrays(maps, 2, most=3).plot()
print(display.describe())
