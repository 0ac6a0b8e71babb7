from collections.abc import Sequence

class Windows:
    @property
    def output_size(self) -> tuple[int, int]: ...

def sliding_windows(size: Sequence[int], kernel_size: tuple[int, int], stride: tuple[int, int],
                    pads: tuple[tuple[int, int], tuple[int, int]], dilation: tuple[int, int], outputs: tuple[int, int],
                    count_include_pad: bool) -> Windows: ...
def adaptive_windows(size: Sequence[int], outputs: tuple[int, int]) -> Windows: ...
