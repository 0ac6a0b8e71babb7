"""
What a filter looks for
=======================

For each filter of the second convolution, the patches of 500 digits to which it answers most strongly.
"""

import fastconv as fc
from fastconv import data, nn, optim, plots

model = nn.models.lenet5(rng=0)
trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
trainer.fit(data.digits("train"), epochs=2, progress=False)
display = plots.TopPatchesDisplay.from_model(model, data.digits("test").images[:500], layer=1, most=5).plot()
print(display.describe())
