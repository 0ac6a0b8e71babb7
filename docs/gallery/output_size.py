"""
The size of the output
======================

Every position of a filter of three along a row of eight pixels with padding, by steps of two. The pixel that no
position reaches is crossed out.
"""

from fastconv import plots

display = plots.OutputSizeDisplay.from_sizes(8, 3, stride=2, padding=1).plot()
print(display.describe())
