"""
Filters as they are learnt
==========================

The first layer of a LeNet, from its initialisation on, and the loss of each batch.
"""

from fastconv import data, nn, plots

digits = data.digits("train")
display = plots.FilterHistoryDisplay.from_model(nn.models.lenet5(rng=0), digits.images, digits.labels).plot()
print(display.describe())
