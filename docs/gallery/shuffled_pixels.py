"""
Shuffled pixels
===============

A convolution knows neighbours, a fully connected layer does not: what each learns of digits as they are, and of the
same digits with their pixels shuffled.
"""

from fastconv import data, plots

train, test = data.digits("train"), data.digits("test")
display = plots.ShuffledPixelsDisplay.from_arrays(train.images, train.labels, test.images, test.labels, epochs=2).plot()
print(display.describe())
