from typing import Any

import numpy as np

from fastconv._core.problem.convolution import Convolution

def gather(conv: Convolution, rows: np.ndarray[Any, Any]) -> None: ...
