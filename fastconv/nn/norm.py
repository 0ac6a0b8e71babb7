"""Normalisation layers: over batches, over groups of channels of an image, over the last axes."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.folding import Normalisation
from fastconv.functional.typing import Float, FloatDType, NDArray
from fastconv.nn import passes
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.parameter import Parameter
from fastconv.nn.synchronised import Whole, gradients, move, whole_batch


class _Affine(Module):
    """What all of these layers have: weight and bias, which begin as ones and zeros, or none of them."""

    weight: Parameter | None
    bias: Parameter | None

    def _begin(self, shape: tuple[int, ...], eps: float, dtype: FloatDType, weight: bool, bias: bool) -> None:
        self.eps = checks.number(eps, "eps")
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"eps must be at least 0 and finite, got {eps}")
        self.dtype = float_dtype(dtype)
        self.weight = Parameter(np.ones(shape, self.dtype), "weight") if weight else None
        self.bias = Parameter(np.zeros(shape, self.dtype), "bias") if bias else None

    def _arrays(self) -> tuple[Any, Any]:
        return self.weight._array if self.weight else None, self.bias._array if self.bias else None

    def _needs(self, needs_input_grad: bool) -> tuple[bool, bool, bool]:
        return needs_input_grad, self.weight is not None, self.bias is not None

    def _take(self, grad_weight: Any, grad_bias: Any) -> None:
        if self.weight:
            self.weight.add_grad(grad_weight)
        if self.bias:
            self.bias.add_grad(grad_bias)


class _BatchNorm(_Affine):
    """Batch normalisation of inputs in the formats of the class."""

    _formats: tuple[str, ...] = ()
    running_mean: NDArray[Any]
    running_var: NDArray[Any]
    num_batches_tracked: NDArray[Any]

    def _settle(self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool,
                data_format: str, dtype: FloatDType) -> None:
        self.num_features = checks.integer(num_features, "num_features", 1)
        self.momentum = None if momentum is None else checks.number(momentum, "momentum")
        if self.momentum is not None and not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1, or None, got {momentum}")
        self.affine = checks.flag(affine, "affine")
        self.track_running_stats = checks.flag(track_running_stats, "track_running_stats")
        self.data_format = checks.choice(data_format, "data_format", self._formats)
        self._begin((self.num_features,), eps, dtype, self.affine, self.affine)
        if self.track_running_stats:
            self.register_buffer("running_mean", np.zeros(self.num_features, self.dtype))
            self.register_buffer("running_var", np.ones(self.num_features, self.dtype))
            self.register_buffer("num_batches_tracked", np.array(0, np.int64))

    def _format_of(self, x: Any) -> Any:
        """The order of the axes of x, which must be one that the layer takes."""
        shape = np.shape(x)
        if len(shape) != len(self.data_format):
            raise ValueError(f"x must be a batch ({', '.join(self.data_format)}), got shape {shape}")
        return self._counted(shape, self.data_format)

    def _counted(self, shape: tuple[int, ...], data_format: str) -> str:
        if shape[data_format.index("C")] != self.num_features:
            raise ValueError(f"x must have {self.num_features} channels (num_features) in {data_format}, "
                             f"got shape {shape}")
        return data_format

    def forward(self, x: NDArray[Float], activation: Literal["relu"] | None = None) -> NDArray[Float]:
        """The output for the input `x`, through a ReLU if one is given, which `backward` goes through too."""
        data_format, (weight, bias) = self._format_of(x), self._arrays()
        options: dict[str, Any] = dict(eps=self.eps, data_format=data_format, activation=activation)
        training = self.training
        if not training and self.track_running_stats:
            return F.batch_norm(x, self.running_mean, self.running_var, weight, bias, **options)
        moves = training and self.track_running_stats
        whole = whole_batch(x, data_format) if training else None
        if whole is not None:
            if moves:
                move(self.running_mean, self.running_var, whole, self._share())
                self.num_batches_tracked += 1
            self.remember(x, whole, options)
            return F.batch_norm(x, whole.mean, whole.var, weight, bias, **options)
        y, statistics = F.batch_norm(
            x, self.running_mean if moves else None, self.running_var if moves else None, weight, bias,
            training=True, momentum=self._share() if moves else 0.0, return_statistics=True, **options)
        if moves:
            self.num_batches_tracked += 1
        self.remember(x, statistics, options)
        return y

    def _share(self) -> float:
        """Of this batch in the running statistics: with momentum None all batches have the same."""
        return 1 / (int(self.num_batches_tracked) + 1) if self.momentum is None else self.momentum

    def in_evaluation(self) -> Normalisation | None:
        """What the layer does in evaluation mode, where that does not depend on the batch; None in training mode."""
        if self.training or not self.track_running_stats:
            return None
        return Normalisation(*self._arrays(), self.running_mean, self.running_var, self.eps)

    def went_through_relu(self) -> bool:
        """Whether the last forward pass did, so that `backward` will."""
        return self._remembered is not None and self._remembered[2]["activation"] is not None

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        x, statistics, options = self.recall()
        if isinstance(statistics, Whole):
            grad_x, *of_affine = gradients(grad_output, x, statistics, self._arrays(), needs_input_grad, options)
        else:
            grad_x, *of_affine = F.batch_norm_backward(
                grad_output, x, None, None, *self._arrays(), training=True, statistics=statistics,
                needs=self._needs(needs_input_grad), **options)
        self._take(*of_affine)
        return grad_x


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); see `BatchNorm2d`.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, dtype
        As of `BatchNorm2d`.
    data_format : {"NCL", "NLC"}
        Order of the axes of inputs with three.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.BatchNorm1d(2)(np.array([[1, 5], [3, 5]], np.float32)).round(3)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    """

    _formats = ("NCL", "NLC")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, *, data_format: Literal["NCL", "NLC"] = "NCL",
                 dtype: FloatDType = "float32") -> None:
        self._settle(num_features, eps, momentum, affine, track_running_stats, data_format, dtype)

    def _format_of(self, x: Any) -> Any:
        shape = np.shape(x)
        if len(shape) not in (2, 3):
            raise ValueError(f"x must be a batch (N, C) or ({', '.join(self.data_format)}), got shape {shape}")
        return self._counted(shape, "NC" if len(shape) == 2 else self.data_format)

    def _image_form(self) -> str | None:
        return None  # rows of numbers are taken too


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: each channel gets mean 0 and variance 1, then a learnt scale and shift.

    In training mode mean and variance are those of the batch, and running ones follow them, by which evaluation mode
    normalises; see `fastconv.batch_norm`.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float or None
        Share of a batch in the running statistics, from 0 to 1; None: they are the average over all batches.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Without running statistics evaluation mode takes those of its batch too.
    data_format : {"NCHW", "NHWC"}
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight, bias : Parameter (num_features,), or None
    running_mean, running_var : ndarray (num_features,)
        Buffers, and so is:
    num_batches_tracked : ndarray (), int64

    Notes
    -----
    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> y = layer(np.random.default_rng(0).normal(5, 2, (8, 3, 16, 16)).astype(np.float32))
    >>> round(float(y.std()), 3)
    1.0
    >>> list(layer.state_dict())
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """

    _formats = ("NCHW", "NHWC")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, *, data_format: Literal["NCHW", "NHWC"] = "NCHW",
                 dtype: FloatDType = "float32") -> None:
        self._settle(num_features, eps, momentum, affine, track_running_stats, data_format, dtype)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W); see `BatchNorm2d`.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, dtype
        As of `BatchNorm2d`.
    data_format : {"NCDHW", "NDHWC"}
    """

    _formats = ("NCDHW", "NDHWC")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, *, data_format: Literal["NCDHW", "NDHWC"] = "NCDHW",
                 dtype: FloatDType = "float32") -> None:
        self._settle(num_features, eps, momentum, affine, track_running_stats, data_format, dtype)


class GroupNorm(_Affine):
    """Group normalisation: mean 0 and variance 1 for each image and each group of channels; see `fastconv.group_norm`.

    Parameters
    ----------
    num_groups, num_channels : int
        Groups must divide the channels.
    eps : float
        Added to the variance.
    affine : bool
        Whether there are a weight and a bias for each channel.
    data_format : {None, "NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"}
        Order of the axes of the input; None: the channels are second.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight, bias : Parameter (num_channels,), or None

    Notes
    -----
    Y. Wu and K. He, "Group normalization", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.GroupNorm(2, 4)(np.array([[1, 3, 10, 10]], np.float32)).round(3)
    array([[-1.,  1.,  0.,  0.]], dtype=float32)
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *,
                 data_format: Literal["NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"] | None = None,
                 dtype: FloatDType = "float32") -> None:
        self.num_groups = checks.integer(num_groups, "num_groups", 1)
        self.num_channels = checks.integer(num_channels, "num_channels", 1)
        if self.num_channels % self.num_groups:
            raise ValueError(f"num_groups must divide num_channels, got {num_groups} for {num_channels}")
        self.affine = checks.flag(affine, "affine")
        self.data_format = checks.choice(
            data_format, "data_format", (None, "NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"))
        self._begin((self.num_channels,), eps, dtype, self.affine, self.affine)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        shape = np.shape(x)
        axis = self.data_format.index("C") if self.data_format else 1
        if len(shape) <= axis or shape[axis] != self.num_channels:
            raise ValueError(f"x must have {self.num_channels} channels (num_channels) as axis {axis}, "
                             f"got shape {shape}")
        y = F.group_norm(x, self.num_groups, *self._arrays(), eps=self.eps, data_format=self.data_format)
        self.remember(x)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        grad_x, *gradients = F.group_norm_backward(
            grad_output, self.recall(), self.num_groups, self._arrays()[0], eps=self.eps,
            data_format=self.data_format, needs=self._needs(needs_input_grad))
        self._take(*gradients)
        return grad_x


class LayerNorm(_Affine):
    """Layer normalisation: mean 0 and variance 1 over the last axes; see `fastconv.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Sizes of these axes.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there are a weight and, with `bias`, a bias for each of their elements.
    bias : bool
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight, bias : Parameter of shape normalized_shape, or None

    Notes
    -----
    J. Ba, J. Kiros and G. Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.LayerNorm(2)(np.array([[1, 3], [10, 10]], np.float32)).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True, *, dtype: FloatDType = "float32") -> None:
        several = isinstance(normalized_shape, (tuple, list))
        self.normalized_shape: tuple[int, ...] = checks.integers(
            normalized_shape if several else (normalized_shape,), "normalized_shape", 1)
        if not self.normalized_shape:
            raise ValueError("normalized_shape must have at least one size, got ()")
        self.elementwise_affine = checks.flag(elementwise_affine, "elementwise_affine")
        self._begin(self.normalized_shape, eps, dtype, self.elementwise_affine,
                    checks.flag(bias, "bias") and self.elementwise_affine)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.layer_norm(x, self.normalized_shape, *self._arrays(), eps=self.eps)
        self.remember(x)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        grad_x, *gradients = F.layer_norm_backward(
            grad_output, self.recall(), self.normalized_shape, self._arrays()[0], eps=self.eps,
            needs=self._needs(needs_input_grad))
        self._take(*gradients)
        return grad_x


passes.known(passes.as_it_is, BatchNorm1d)
