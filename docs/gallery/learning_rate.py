"""
Which learning rate
===================

The rate grows from step to step until the loss runs away; where it falls fastest is a good one. What is drawn is a
``plots.LearningRateDisplay``.
"""

import fastconv as fc
from fastconv import data, nn, optim

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05), loss=nn.NLLLoss())
display = trainer.lr_find(data.digits("train")).plot()
print(display.describe())
