from typing import Any

from fastconv._core.problem.geometry import ConvProblem

def laid_out(problem: ConvProblem) -> tuple[dict[str, Any], int, dict[str, int], int]: ...
