"""The error function, which NumPy lacks: rational approximations of Cephes (S. Moshier), of double precision."""

from __future__ import annotations

from typing import Any

import numpy as np

_P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687, 4.86371970985681366614e1,
      1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
      5.57535335369399327526e2)
_Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
      1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2)
_T = (9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
      5.55923013010394962768e4)
_U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
      4.92673942608635921086e4)


def erf(x: np.ndarray) -> Any:
    """Of any real numbers, in double precision."""
    x = x.astype(np.float64)
    near = np.clip(x, -1, 1)
    far = np.clip(np.abs(x), 1, 6)    # beyond 6 it is 1
    square = near * near
    inside = near * np.polyval(_T, square) / np.polyval(_U, square)
    outside = 1 - np.exp(-far * far) * np.polyval(_P, far) / np.polyval(_Q, far)
    return np.where(np.abs(x) < 1, inside, np.copysign(outside, x))
