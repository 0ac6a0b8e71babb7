from numpy import bool_
from numpy.typing import NDArray

def images_exceeding(samples: NDArray, down: bool, most: float) -> NDArray[bool_]: ...
