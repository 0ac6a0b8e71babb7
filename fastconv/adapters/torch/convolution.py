"""aten::convolution and its gradient, for tensors of one to three axes, plain and transposed."""

from __future__ import annotations

from typing import Any

from fastconv import functional
from fastconv.adapters.torch.host import array, channels_before, channels_behind, is_channels_last, torch
from fastconv.adapters.torch.weights import Keeper
from fastconv.functional.conv import IMAGES
from fastconv.functional.signals import SIGNALS
from fastconv.functional.volumes import VOLUMES

_KINDS = {3: SIGNALS, 4: IMAGES, 5: VOLUMES}
_LAST = {3: "NLC", 4: "NHWC", 5: "NDHWC"}
_FIRST = {3: "NCL", 4: "NCHW", 5: "NCDHW"}
_TRANSPOSED = {3: functional.conv_transpose1d, 4: functional.conv_transpose2d, 5: functional.conv_transpose3d}
_BACKWARD = {3: functional.conv1d_backward, 4: functional.conv2d_backward, 5: functional.conv3d_backward}
_TRANSPOSED_BACKWARD = {3: functional.conv_transpose1d_backward, 4: functional.conv_transpose2d_backward,
                        5: functional.conv_transpose3d_backward}

keeper = Keeper()


def refusal(x: Any, weight: Any, *others: Any) -> str | None:
    """Why PyTorch itself must compute this convolution, or its gradient, if so."""
    if x.dtype not in (torch.float32, torch.float64):
        return f"tensors of {str(x.dtype).removeprefix('torch.')}"
    if any(other is not None and other.dtype != x.dtype for other in (weight, *others)):
        return "tensors of different dtypes"
    if x.dim() not in _KINDS or weight.dim() != x.dim():
        return "a number of axes that is none of a batch of signals, images or volumes"
    if 0 in x.shape[1:] or 0 in weight.shape:
        return "channels, filters or pixels of size zero"
    return None


def convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    axes = x.dim()
    last = is_channels_last(x) or is_channels_last(weight)
    layout = (_LAST if last else _FIRST)[axes]
    stride, padding, dilation, output_padding = (_each(value, axes - 2)
                                                 for value in (stride, padding, dilation, output_padding))
    images, filters = array(channels_behind(x) if last else x), array(weight)
    added = None if bias is None else array(bias)
    if transposed:
        y = _TRANSPOSED[axes](images, filters, added, stride=stride, padding=padding, output_padding=output_padding,
                              dilation=dilation, groups=groups, data_format=layout)
    else:
        options = stride, padding, dilation, groups, "constant", 0.0, layout
        if torch.is_grad_enabled():
            call, images, filters, added = _KINDS[axes].find_call(images, filters, added, *options)
            y = call.run(images, filters, added, None)
        else:
            y = keeper.convolve(_KINDS[axes], images, filters, added, options)
    y = torch.from_numpy(y)
    return channels_before(y) if last else y


def convolution_backward(grad_output, x, weight, bias_sizes, stride, padding, dilation, transposed, output_padding,
                         groups, output_mask):
    axes = x.dim()
    last = is_channels_last(x) or is_channels_last(weight)
    stride, padding, dilation, output_padding = (_each(value, axes - 2)
                                                 for value in (stride, padding, dilation, output_padding))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
               "data_format": (_LAST if last else _FIRST)[axes], "needs": tuple(output_mask)}
    if transposed:
        options["output_padding"] = output_padding
    backward = (_TRANSPOSED_BACKWARD if transposed else _BACKWARD)[axes]
    grad_x, grad_weight, grad_bias = backward(*(array(channels_behind(each) if last else each)
                                                for each in (grad_output, x)), array(weight), **options)
    if grad_x is not None:
        grad_x = torch.from_numpy(grad_x)
        grad_x = channels_before(grad_x) if last else grad_x
    if grad_weight is not None:
        grad_weight = torch.from_numpy(grad_weight)
        if last:  # a gradient whose strides are not those of the weight is copied anyway, where it is added up
            grad_weight = grad_weight.contiguous(memory_format=_memory_format(weight))
    return grad_x, grad_weight, None if grad_bias is None else torch.from_numpy(grad_bias)


def _memory_format(weight):
    if not is_channels_last(weight):
        return torch.contiguous_format
    return torch.channels_last if weight.dim() == 4 else torch.channels_last_3d


def _each(values, axes):
    """One number for each axis, where one may stand for all."""
    values = tuple(values)
    return values * axes if len(values) == 1 else values
