"""The loops for volumes by the names that those for images have."""

from fastconv._core.pooling.positions import max_backward as max_backward
from fastconv._core.pooling.volume_backward import average_backward as average_backward
from fastconv._core.pooling.volume_forward import pool as pool
