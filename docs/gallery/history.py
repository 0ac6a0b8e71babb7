"""
A training
==========

Loss, accuracy and learning rate, epoch by epoch, of a LeNet on 4,000 digits.
"""

import fastconv as fc
from fastconv import data, nn, optim, plots

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
history = trainer.fit(data.digits("train"), epochs=4, validation=data.digits("test"), progress=False)
display = plots.HistoryDisplay.from_history(history).plot()
print(display.describe())
