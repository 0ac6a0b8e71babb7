"""
A prediction
============

A digit, and the probability of each class from a LeNet that has seen 4,000 others twice.
"""

import fastconv as fc
from fastconv import data, nn, optim, plots

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
trainer.fit(data.digits("train"), epochs=2, progress=False)
test = data.digits("test")
display = plots.PredictionDisplay.from_model(model, test.images[5], label=int(test.labels[5])).plot()
print(display.describe())
