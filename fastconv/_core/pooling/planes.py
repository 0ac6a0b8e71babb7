"""The loops for images, and for rows, by the names that those for volumes have."""

from fastconv._core.pooling.average_backward import average_backward as average_backward
from fastconv._core.pooling.large import pool as pool, pooled as pooled
from fastconv._core.pooling.max_backward import max_backward as max_backward
