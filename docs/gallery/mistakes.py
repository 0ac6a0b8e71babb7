"""
The worst mistakes
==================

The digits of which a LeNet was most sure, and wrong. Some of them a person would not read either.
"""

import fastconv as fc
from fastconv import data, nn, optim, plots

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
trainer.fit(data.digits("train"), epochs=2, progress=False)
test = data.digits("test")
display = plots.MistakesDisplay.from_model(model, test.images, test.labels).plot()
print(display.describe())
