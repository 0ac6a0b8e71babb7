"""
An activation
=============

The function and its slope, a feature map before and after it, and how often each value comes.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.ActivationDisplay.from_model(model, data.digits("test").images[0]).plot()
print(display.describe())
