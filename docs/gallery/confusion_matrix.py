"""
Which class is taken for which
==============================

A row for each digit: how often a LeNet that has seen 4,000 digits twice took it for each of the ten.
"""

import fastconv as fc
from fastconv import data, nn, optim, plots

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
trainer.fit(data.digits("train"), epochs=2, progress=False)
test = data.digits("test")
display = plots.ConfusionMatrixDisplay.from_model(model, test.images, test.labels).plot()
print(display.describe())
