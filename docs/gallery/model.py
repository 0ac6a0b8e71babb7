"""
A whole network
===============

The layers of a LeNet as stacks, each with its shape, its parameters and the formula of its size.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.ModelDisplay.from_model(model, data.digits("test").images[0]).plot()
print(display.describe())
