"""
Maps become a row
=================

The last maps of a LeNet, written one behind the other as 400 numbers.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.FlattenDisplay.from_model(model, data.digits("test").images[0]).plot()
print(display.describe())
