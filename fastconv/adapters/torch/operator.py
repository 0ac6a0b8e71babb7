"""`fastconv::conv2d`, an operator of PyTorch of its own: what `torch.compile` takes into its graphs.

Its gradients are operators too, made of convolutions, so gradients of gradients are to any order.
"""

from __future__ import annotations

from typing import Any

from fastconv import config, functional
from fastconv.adapters.torch.host import array, channels_before, channels_behind, is_channels_last, torch

_OPTIONS = "int[2] stride, int[2] padding, int[2] dilation, int groups"


def conv2d(x: Any, weight: Any, bias: Any = None, stride: int | tuple[int, int] = 1,
           padding: int | tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, groups: int = 1) -> Any:
    """`torch.nn.functional.conv2d` as the operator ``fastconv::conv2d``, whether PyTorch's own is exchanged or not.

    Parameters
    ----------
    x : tensor (N, C, H, W) of float32 or float64, on the CPU
    weight : tensor (K, C/groups, R, S)
    bias : tensor (K,), optional
    stride, padding, dilation : int or (int, int)
    groups : int

    Returns
    -------
    tensor (N, K, OH, OW)
        With gradients of any order. Its channels lie last in memory where those of x or weight do.

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv2d`.

    Examples
    --------
    >>> import torch
    >>> from fastconv.adapters.torch import conv2d
    >>> weight = torch.ones(1, 1, 2, 2, requires_grad=True)
    >>> conv2d(torch.ones(1, 1, 3, 3), weight).sum().backward()
    >>> weight.grad[0, 0]
    tensor([[4., 4.],
            [4., 4.]])
    """
    pairs = [[value, value] if isinstance(value, int) else list(value) for value in (stride, padding, dilation)]
    return _operator(x, weight, bias, *pairs, groups)


def _layout(x, weight):
    last = is_channels_last(x) or is_channels_last(weight)
    return last, "NHWC" if last else "NCHW"


def _seen(tensor, last):
    return array(channels_behind(tensor) if last else tensor)


def _returned(result, last):
    return channels_before(torch.from_numpy(result)) if last else torch.from_numpy(result)


def _options(stride, padding, dilation, groups):
    return {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}


def _conv2d(x, weight, bias, stride, padding, dilation, groups):
    last, layout = _layout(x, weight)
    with config.num_threads(torch.get_num_threads()):
        y = functional.conv2d(_seen(x, last), array(weight), None if bias is None else array(bias), data_format=layout,
                              **_options(stride, padding, dilation, groups))
    return _returned(y, last)


def _grad_x(grad_output, x, weight, stride, padding, dilation, groups):
    last, layout = _layout(x, weight)
    with config.num_threads(torch.get_num_threads()):
        grad_x, _, _ = functional.conv2d_backward(_seen(grad_output, last), _seen(x, last), array(weight),
                                                  data_format=layout, needs=(True, False, False),
                                                  **_options(stride, padding, dilation, groups))
    return _returned(grad_x, last)


def _grad_weight(grad_output, x, weight, stride, padding, dilation, groups):
    last, layout = _layout(x, weight)
    with config.num_threads(torch.get_num_threads()):
        _, grad_weight, _ = functional.conv2d_backward(_seen(grad_output, last), _seen(x, last), array(weight),
                                                       data_format=layout, needs=(False, True, False),
                                                       **_options(stride, padding, dilation, groups))
    return torch.from_numpy(grad_weight)


_operator = torch.library.custom_op("fastconv::conv2d", _conv2d, mutates_args=(), device_types="cpu",
                                    schema=f"(Tensor x, Tensor weight, Tensor? bias, {_OPTIONS}) -> Tensor")
grad_x = torch.library.custom_op("fastconv::conv2d_grad_x", _grad_x, mutates_args=(), device_types="cpu",
                                 schema=f"(Tensor grad_output, Tensor x, Tensor weight, {_OPTIONS}) -> Tensor")
grad_weight = torch.library.custom_op("fastconv::conv2d_grad_weight", _grad_weight, mutates_args=(), device_types="cpu",
                                      schema=f"(Tensor grad_output, Tensor x, Tensor weight, {_OPTIONS}) -> Tensor")


@_operator.register_fake
def _(x, weight, bias, stride, padding, dilation, groups):
    sizes = [(size + 2 * pad - step * (taps - 1) - 1) // by + 1
             for size, pad, step, taps, by in zip(x.shape[2:], padding, dilation, weight.shape[2:], stride)]
    return _empty(x, (x.shape[0], weight.shape[0], *sizes), _layout(x, weight)[0])


@grad_x.register_fake
def _(grad_output, x, weight, stride, padding, dilation, groups):
    return _empty(x, x.shape, _layout(x, weight)[0])


@grad_weight.register_fake
def _(grad_output, x, weight, stride, padding, dilation, groups):
    return _empty(weight, weight.shape, False)


def _empty(like, shape, last):
    """As the operators give it: whole in memory, with the channels last or first."""
    if last:
        n, c, h, w = shape
        return channels_before(like.new_empty((n, h, w, c)))
    return like.new_empty(shape)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    """For the gradient of the convolution: its arguments."""
    x, weight, bias, *options = inputs
    ctx.save_for_backward(x, weight)
    ctx.options = options


def _backward(context, grad):
    x, weight = context.saved_tensors
    needs_x, needs_weight, needs_bias, *_ = context.needs_input_grad
    return (grad_x(grad, x, weight, *context.options) if needs_x else None,
            grad_weight(grad, x, weight, *context.options) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None, None, None, None, None)


def _keep_gradient(ctx: Any, inputs: Any, output: Any) -> None:
    """For the gradients of the gradients: their arguments."""
    grad_output, x, weight, *options = inputs
    ctx.save_for_backward(grad_output, x, weight)
    ctx.options = options


def _backward_of_grad_x(context, grad):
    grad_output, x, weight = context.saved_tensors
    needs_grad, _, needs_weight, *_ = context.needs_input_grad
    return (_operator(grad, weight, None, *context.options) if needs_grad else None, None,
            grad_weight(grad_output, grad, weight, *context.options) if needs_weight else None, None, None, None, None)


def _backward_of_grad_weight(context, grad):
    grad_output, x, weight = context.saved_tensors
    needs_grad, needs_x, *_ = context.needs_input_grad
    return (_operator(x, grad, None, *context.options) if needs_grad else None,
            grad_x(grad_output, x, grad, *context.options) if needs_x else None, None, None, None, None, None)


_operator.register_autograd(_backward, setup_context=_keep)
grad_x.register_autograd(_backward_of_grad_x, setup_context=_keep_gradient)
grad_weight.register_autograd(_backward_of_grad_weight, setup_context=_keep_gradient)
