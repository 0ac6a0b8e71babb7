"""How fast fastconv is: `pytest benchmarks` times each operation, `python -m benchmarks.compare`
puts it beside its peers.

Python started in a checkout has the checkout first on its path, where the folder `fastconv/` would shadow the installed
package. Importing this package takes the checkout off the path, unless its core was compiled in place (an editable
install, `build_ext --inplace`).
"""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

if not list(CHECKOUT.glob("fastconv/_core/runtime/isa.*.so")):
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != CHECKOUT]
