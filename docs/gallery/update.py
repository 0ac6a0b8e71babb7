"""
One step of gradient descent
============================

A filter, its gradient times the learning rate, and the filter afterwards; the loss of the same images before and after.
"""

from fastconv import data, nn, plots

digits = data.digits("train")
model = nn.models.lenet5(rng=0)
display = plots.UpdateDisplay.from_model(model, digits.images[:32], digits.labels[:32], lr=0.05).plot()
print(display.describe())
