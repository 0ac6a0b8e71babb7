from typing import Any, Final

C_API: Final[Any]
