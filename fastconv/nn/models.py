"""Ready-made models. But for LeNet-5 they have the layers, names and shapes of torchvision's, and U-Net those of
milesial/Pytorch-UNet, so that state dicts of these load; all return logits, for `CrossEntropyLoss`."""

from __future__ import annotations

from typing import Any

from fastconv.functional import checks
from fastconv.functional.typing import DataFormat, FloatDType
from fastconv.nn.activation import LogSoftmax, ReLU
from fastconv.nn.blocks import BasicBlock, InvertedResidual, conv_bn
from fastconv.nn.conv import Conv2d
from fastconv.nn.init import Initialiser, InitName, Rng, generator
from fastconv.nn.linear import Dropout, Flatten, Linear
from fastconv.nn.module import Module
from fastconv.nn.norm import BatchNorm2d
from fastconv.nn.pooling import AdaptiveAvgPool2d, GlobalAvgPool2d, MaxPool2d
from fastconv.nn.sequential import Sequential
from fastconv.nn.unet import UNet

__all__ = ["lenet5", "mobilenet_v2", "resnet18", "resnet_small", "unet", "vgg11"]


def __dir__() -> list[str]:
    return __all__


def lenet5(
    in_channels: int = 1,
    classes: int = 10,
    input_size: int = 28,
    *,
    init: InitName | Initialiser = "he_uniform",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """LeNet-5 with ReLU and max pooling, returning log-probabilities: train it with `NLLLoss`.

    Two convolutions of 5 x 5 (6 and 16 filters), each followed by ReLU and 2 x 2 max pooling, then three fully
    connected layers (120, 84, `classes`).

    Parameters
    ----------
    in_channels, classes : int
    input_size : int
        Rows and columns of the square images, at least 12.
    init, rng, dtype
        As of `Conv2d`.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
    1998; there with tanh, trainable average pooling, and without the first padding on images of 32 x 32.

    Examples
    --------
    >>> from fastconv import nn
    >>> print(nn.models.lenet5().summary((1, 28, 28)).parameters)
    61706
    """
    checks.integer(input_size, "input_size", 12)
    rng = generator(rng)
    born: dict[str, Any] = dict(init=init, rng=rng, dtype=dtype)
    last = (input_size // 2 - 4) // 2
    return Sequential(
        Conv2d(in_channels, 6, 5, padding=2, **born), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5, **born), ReLU(), MaxPool2d(2),
        Flatten(),
        Linear(16 * last * last, 120, **born), ReLU(),
        Linear(120, 84, **born), ReLU(),
        Linear(84, checks.integer(classes, "classes", 1), **born), LogSoftmax(),
    )  # fmt: skip


def resnet18(
    classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    *,
    data_format: DataFormat = "NCHW",
    init: InitName | Initialiser = "he_normal",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """ResNet-18: eight blocks of two 3 x 3 convolutions, of 64, 128, 256 and 512 channels.

    Parameters
    ----------
    classes, in_channels : int
    small : bool
        The form for images of about 32 x 32, such as CIFAR's: it begins with a 3 x 3 convolution in place of 7 x 7 with
        stride 2 and max pooling.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Returns
    -------
    Sequential
        Of images of any size.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2015, table 1.

    Examples
    --------
    >>> from fastconv import nn
    >>> model = nn.models.resnet18(10, 1, small=True)
    >>> sum(parameter.data.size for parameter in model.parameters())
    11172810
    """
    checks.flag(small, "small")
    return _resnet(classes, in_channels, (64, 128, 256, 512), 2, small,
                   dict(data_format=data_format, init=init, rng=generator(rng), dtype=dtype))


def resnet_small(
    classes: int = 10,
    in_channels: int = 3,
    *,
    data_format: DataFormat = "NCHW",
    init: InitName | Initialiser = "he_normal",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """ResNet-20: nine blocks of two 3 x 3 convolutions, of 16, 32 and 64 channels, for images of about 32 x 32.

    Parameters
    ----------
    classes, in_channels : int
    data_format, init, rng, dtype
        As of `Conv2d`.

    Returns
    -------
    Sequential
        Of images of any size.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2015, section 4.2, with
    n = 3; there with shortcuts that pad with zero channels, here with 1 x 1 convolutions where the shape changes.

    Examples
    --------
    >>> from fastconv import nn
    >>> sum(parameter.data.size for parameter in nn.models.resnet_small().parameters())
    272474
    """
    return _resnet(classes, in_channels, (16, 32, 64), 3, True,
                   dict(data_format=data_format, init=init, rng=generator(rng), dtype=dtype))


def _resnet(classes: int, in_channels: int, widths: tuple[int, ...], depth: int, small: bool,
            made: dict[str, Any]) -> Sequential:
    """Stages of `depth` blocks; each but the first halves the image."""
    data_format = made["data_format"]
    stem = conv_bn(in_channels, widths[0], *((3, 1) if small else (7, 2)), **made)
    layers: dict[str, Module] = {"conv1": stem["0"], "bn1": stem["1"], "relu": ReLU()}
    if not small:
        layers["maxpool"] = MaxPool2d(3, 2, 1, data_format=data_format)
    before = widths[0]
    for stage, width in enumerate(widths, 1):
        blocks = [BasicBlock(before, width, 1 if stage == 1 else 2, **made)]
        blocks += [BasicBlock(width, width, **made) for _ in range(depth - 1)]
        layers[f"layer{stage}"], before = Sequential(*blocks), width
    layers.update(avgpool=GlobalAvgPool2d(data_format=data_format), flatten=Flatten(),
                  fc=_linear(before, checks.integer(classes, "classes", 1), made))
    return Sequential(layers)


def mobilenet_v2(
    classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    *,
    data_format: DataFormat = "NCHW",
    init: InitName | Initialiser = "he_normal",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """MobileNetV2: seventeen blocks with depthwise convolutions, for few operations.

    Parameters
    ----------
    classes, in_channels : int
    width : float
        What channels are multiplied by, then rounded to multiples of eight.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Returns
    -------
    Sequential
        Of images of any size; the smallest maps have a 32nd of it.

    Notes
    -----
    Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2: inverted residuals and linear
    bottlenecks", 2018, table 2.

    Examples
    --------
    >>> from fastconv import nn
    >>> sum(parameter.data.size for parameter in nn.models.mobilenet_v2(10, width=0.35).parameters())
    408938
    """
    scale = checks.number(width, "width")
    if not 0 < scale < 1000:
        raise ValueError(f"width must be above 0 and below 1000, got {width}")
    made: dict[str, Any] = dict(data_format=data_format, init=init, rng=generator(rng), dtype=dtype)
    before = _multiple_of_8(32 * scale)
    features: list[Module] = [Sequential(conv_bn(in_channels, before, 3, 2, activation="relu6", **made))]
    for expand_ratio, channels, repeats, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                                    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        channels = _multiple_of_8(channels * scale)
        for index in range(repeats):
            features.append(InvertedResidual(before, channels, stride if index == 0 else 1, expand_ratio, **made))
            before = channels
    last = _multiple_of_8(1280 * max(1.0, scale))
    features.append(Sequential(conv_bn(before, last, 1, activation="relu6", **made)))
    classifier = Sequential(Dropout(0.2), _linear(last, checks.integer(classes, "classes", 1), made))
    return Sequential({"features": Sequential(*features), "avgpool": GlobalAvgPool2d(data_format=data_format),
                       "flatten": Flatten(), "classifier": classifier})


def _multiple_of_8(channels: float) -> int:
    """The nearest one, but no less than nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def vgg11(
    classes: int = 1000,
    in_channels: int = 3,
    batch_norm: bool = False,
    *,
    hidden: int = 4096,
    data_format: DataFormat = "NCHW",
    init: InitName | Initialiser = "he_normal",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """VGG-11: eight 3 x 3 convolutions with max pooling between them, and three fully connected layers.

    Parameters
    ----------
    classes, in_channels : int
    batch_norm : bool
        Whether there is batch normalisation behind each convolution.
    hidden : int
        Outputs of the first two fully connected layers, which have most of the parameters.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Returns
    -------
    Sequential
        Of images of at least 32 x 32.

    Notes
    -----
    Source: K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
    configuration A. Maps are averaged to 7 x 7 before the fully connected layers, as torchvision does it.

    Examples
    --------
    >>> from fastconv import nn
    >>> model = nn.models.vgg11(10, hidden=16)
    >>> list(model.state_dict())[:4]
    ['features.0.weight', 'features.0.bias', 'features.3.weight', 'features.3.bias']
    """
    checks.flag(batch_norm, "batch_norm")
    checks.integer(hidden, "hidden", 1)
    made: dict[str, Any] = dict(data_format=data_format, init=init, rng=generator(rng), dtype=dtype)
    features: list[Module] = []
    before = in_channels
    for stage in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for width in stage:
            features.append(Conv2d(before, width, 3, padding=1, **made))
            if batch_norm:
                features.append(BatchNorm2d(width, data_format=data_format, dtype=dtype))
            features.append(ReLU())
            before = width
        features.append(MaxPool2d(2, data_format=data_format))
    classifier = Sequential(_linear(before * 49, hidden, made), ReLU(), Dropout(),
                            _linear(hidden, hidden, made), ReLU(), Dropout(),
                            _linear(hidden, checks.integer(classes, "classes", 1), made))
    return Sequential({"features": Sequential(*features), "avgpool": AdaptiveAvgPool2d(7, data_format=data_format),
                       "flatten": Flatten(data_format=data_format), "classifier": classifier})


def unet(
    in_channels: int = 3,
    classes: int = 2,
    features: int = 64,
    depth: int = 4,
    bilinear: bool = False,
    *,
    data_format: DataFormat = "NCHW",
    init: InitName | Initialiser = "he_normal",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> UNet:
    """U-Net for segmentation: an output for each pixel and class; see `fastconv.nn.UNet`."""
    return UNet(in_channels, classes, features, depth, bilinear, data_format=data_format, init=init, rng=rng,
                dtype=dtype)


def _linear(in_features: int, out_features: int, made: dict[str, Any]) -> Linear:
    return Linear(in_features, out_features, init=made["init"], rng=made["rng"], dtype=made["dtype"])
