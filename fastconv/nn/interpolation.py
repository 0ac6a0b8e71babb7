"""Images at another size as a layer."""

from __future__ import annotations

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.resizing import checked_options
from fastconv.functional.typing import DataFormat, Float, InterpolationMode, NDArray, Pair
from fastconv.nn.module import Module


class Upsample(Module):
    """Larger images, or smaller ones: each pixel repeated, or bilinear interpolation; see `fastconv.interpolate`.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns of the output.
    scale_factor : float or (float, float)
        In place of size: by how much the input's are multiplied.
    mode : {"nearest", "bilinear"}
    align_corners : bool
        Of "bilinear": whether the first and the last output are the first and the last pixel.
    data_format : {"NCHW", "NHWC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Upsample(scale_factor=2)(np.array([[[[1, 2]]]], np.float32))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]], dtype=float32)
    """

    def __init__(self, size: Pair | None = None, scale_factor: float | tuple[float, float] | None = None,
                 mode: InterpolationMode = "nearest", align_corners: bool = False, *,
                 data_format: DataFormat = "NCHW") -> None:
        checked_options(size, scale_factor, mode, align_corners)
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(np.shape(x))
        return F.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners,
                             data_format=self.data_format)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.interpolate_backward(grad_output, self.recall(), self.size, self.scale_factor, self.mode,
                                      self.align_corners, data_format=self.data_format)
