"""
All feature maps of an image
============================

What each layer of a LeNet makes of a digit; red is above 0, blue below.
"""

from fastconv import data, nn, plots

model = nn.models.lenet5(rng=0)
display = plots.FeatureMapDisplay.from_model(model, data.digits("test").images[0]).plot()
print(display.describe())
