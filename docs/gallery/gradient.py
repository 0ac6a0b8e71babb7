"""
The way back
============

The gradient through every layer of a LeNet, from the loss to the image.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.GradientDisplay.from_model(model, data.digits("test").images[0], 0).plot()
print(display.describe())
