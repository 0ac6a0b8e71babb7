"""
The loss of one image
=====================

Where -log p stands on its curve, and what goes back from it: the probabilities minus 1 at the true class.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.LossDisplay.from_model(model, data.digits("test").images[0], 0).plot()
print(display.describe())
