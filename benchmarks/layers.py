"""The layers that are timed: convolution and pooling of well-known networks, at the sizes of training and of one image,
and convolutions with filters so large that Fourier transforms are the way."""

from __future__ import annotations

from typing import NamedTuple

Shape = tuple[int, int, int, int]


class ConvLayer(NamedTuple):
    """n images of c channels and h x w pixels under k filters of c / groups channels and r x s pixels."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def x_shape(self) -> Shape:
        return self.n, self.c, self.h, self.w

    @property
    def weight_shape(self) -> Shape:
        return self.k, self.c // self.groups, self.r, self.s

    @property
    def y_shape(self) -> Shape:
        return self.n, self.k, *_output_size(self.h, self.w, self.r, self.s, self.stride, self.padding)


class TransposedLayer(NamedTuple):
    """n maps of c channels and h x w pixels that k filters of r x s pixels for each make larger."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0

    @property
    def x_shape(self) -> Shape:
        return self.n, self.c, self.h, self.w

    @property
    def weight_shape(self) -> Shape:
        return self.c, self.k, self.r, self.s

    @property
    def y_shape(self) -> Shape:
        cut = 2 * self.padding - self.output_padding
        return self.n, self.k, (self.h - 1) * self.stride + self.r - cut, (self.w - 1) * self.stride + self.s - cut


class PoolLayer(NamedTuple):
    """Windows of kernel x kernel pixels over n images of c channels and h x w pixels."""

    n: int
    c: int
    h: int
    w: int
    kernel: int
    stride: int
    padding: int = 0

    @property
    def x_shape(self) -> Shape:
        return self.n, self.c, self.h, self.w

    @property
    def y_shape(self) -> Shape:
        return self.n, self.c, *_output_size(self.h, self.w, self.kernel, self.kernel, self.stride, self.padding)


def _output_size(h: int, w: int, r: int, s: int, stride: int, padding: int) -> tuple[int, int]:
    return (h + 2 * padding - r) // stride + 1, (w + 2 * padding - s) // stride + 1


def _size(shape: Shape) -> int:
    n, c, h, w = shape
    return n * c * h * w


def conv_flops(layer: ConvLayer) -> int:
    """Operations of the direct sum: a multiplication and an addition for each output and element of its filter.

    Either gradient of a convolution needs as many. A fast algorithm needs fewer,
    so its rate may pass the peak of the CPU.
    """
    return 2 * _size(layer.y_shape) * (layer.c // layer.groups) * layer.r * layer.s


def transposed_flops(layer: TransposedLayer) -> int:
    """Of each pixel with all of its filters."""
    return 2 * _size(layer.x_shape) * layer.k * layer.r * layer.s


def conv_bytes(layer: ConvLayer | TransposedLayer, itemsize: int = 4) -> int:
    """Bytes that must move at least: images, filters and feature maps, once each."""
    return itemsize * (_size(layer.x_shape) + _size(layer.weight_shape) + _size(layer.y_shape))


def pool_bytes(layer: PoolLayer, itemsize: int = 4) -> int:
    """Bytes that must move at least: images and pooled images, once each;
    the indices of max pooling are not counted."""
    return itemsize * (_size(layer.x_shape) + _size(layer.y_shape))


def describe(name: str) -> str:
    """Channels in and out, pixels of the image and of the filter or window."""
    if name in TRANSPOSED:
        layer = TRANSPOSED[name]
        return f"{layer.c} → {layer.k}, {layer.h}×{layer.w}, {layer.r}×{layer.s}, stride {layer.stride}"
    if name in POOL:
        pool = POOL[name]
        return f"{pool.c}, {pool.h}×{pool.w}, {pool.kernel}×{pool.kernel}"
    conv = {**CONV, **LARGE}[name]
    return f"{conv.c} → {conv.k}, {conv.h}×{conv.w}, {conv.r}×{conv.s}"


CONV = {
    # digits: LeNet-5, and a network of 3 x 3 filters
    "lenet-1": ConvLayer(64, 1, 28, 28, 6, 5, 5, padding=2),
    "lenet-2": ConvLayer(64, 6, 14, 14, 16, 5, 5),
    "mnist-1": ConvLayer(64, 1, 28, 28, 32, 3, 3, padding=1),
    "mnist-2": ConvLayer(64, 32, 14, 14, 64, 3, 3, padding=1),
    # ResNets for CIFAR-10, the first and the last stage
    "cifar-16": ConvLayer(64, 16, 32, 32, 16, 3, 3, padding=1),
    "cifar-64": ConvLayer(64, 64, 8, 8, 64, 3, 3, padding=1),
    # VGG-16
    "vgg-1_1": ConvLayer(4, 3, 224, 224, 64, 3, 3, padding=1),
    "vgg-1_2": ConvLayer(4, 64, 224, 224, 64, 3, 3, padding=1),
    "vgg-3_2": ConvLayer(4, 256, 56, 56, 256, 3, 3, padding=1),
    "vgg-5": ConvLayer(4, 512, 14, 14, 512, 3, 3, padding=1),
    # ResNet-50, by stage; b1 is a batch of one image
    "resnet-stem": ConvLayer(4, 3, 224, 224, 64, 7, 7, stride=2, padding=3),
    "resnet-2-3x3": ConvLayer(4, 64, 56, 56, 64, 3, 3, padding=1),
    "resnet-2-3x3-b1": ConvLayer(1, 64, 56, 56, 64, 3, 3, padding=1),
    "resnet-2-1x1-up": ConvLayer(4, 64, 56, 56, 256, 1, 1),
    "resnet-2-1x1-down": ConvLayer(4, 256, 56, 56, 64, 1, 1),
    "resnet-3-3x3-s2": ConvLayer(4, 128, 56, 56, 128, 3, 3, stride=2, padding=1),
    "resnet-4-3x3": ConvLayer(4, 256, 14, 14, 256, 3, 3, padding=1),
    "resnet-4-1x1": ConvLayer(4, 1024, 14, 14, 256, 1, 1),
    "resnet-4-1x1-b1": ConvLayer(1, 1024, 14, 14, 256, 1, 1),
    "resnet-4-1x1-s2": ConvLayer(4, 512, 28, 28, 1024, 1, 1, stride=2),
    "resnet-5-3x3": ConvLayer(4, 512, 7, 7, 512, 3, 3, padding=1),
    "resnet-5-1x1": ConvLayer(4, 2048, 7, 7, 512, 1, 1),
    # ResNeXt-50: 32 groups of 8 channels
    "resnext-g32": ConvLayer(4, 256, 28, 28, 256, 3, 3, padding=1, groups=32),
    # MobileNetV2: depthwise (dw) and pointwise (pw)
    "mobile-dw-1": ConvLayer(4, 32, 112, 112, 32, 3, 3, padding=1, groups=32),
    "mobile-dw-s2": ConvLayer(4, 96, 112, 112, 96, 3, 3, stride=2, padding=1, groups=96),
    "mobile-dw-3": ConvLayer(4, 576, 14, 14, 576, 3, 3, padding=1, groups=576),
    "mobile-pw": ConvLayer(4, 96, 14, 14, 576, 1, 1),
}

LARGE = {  # filters of odd size, padded by half of it
    "blur-31": ConvLayer(1, 1, 512, 512, 1, 31, 31, padding=15),
    "blur-63": ConvLayer(1, 1, 512, 512, 1, 63, 63, padding=31),
    "depthwise-31": ConvLayer(8, 64, 56, 56, 64, 31, 31, padding=15, groups=64),
    "dense-15": ConvLayer(1, 64, 64, 64, 64, 15, 15, padding=7),
}

TRANSPOSED = {
    # DCGAN's generator, 64 x 64 pixels; b64 is a batch of 64
    "dcgan-1-b64": TransposedLayer(64, 100, 1, 1, 512, 4, 4),
    "dcgan-2": TransposedLayer(1, 512, 4, 4, 256, 4, 4, stride=2, padding=1),
    "dcgan-2-b64": TransposedLayer(64, 512, 4, 4, 256, 4, 4, stride=2, padding=1),
    "dcgan-4": TransposedLayer(1, 128, 16, 16, 64, 4, 4, stride=2, padding=1),
    "dcgan-5-b64": TransposedLayer(64, 64, 32, 32, 3, 4, 4, stride=2, padding=1),
    # U-Net's decoder, of an image of 256 x 256 pixels
    "unet-up-1": TransposedLayer(1, 1024, 16, 16, 512, 2, 2, stride=2),
    "unet-up-2": TransposedLayer(1, 512, 32, 32, 256, 2, 2, stride=2),
    "unet-up-3": TransposedLayer(1, 256, 64, 64, 128, 2, 2, stride=2),
    "unet-up-4": TransposedLayer(1, 128, 128, 128, 64, 2, 2, stride=2),
    # a decoder with filters of 3 x 3, as of CycleGAN
    "cyclegan-up": TransposedLayer(1, 256, 64, 64, 128, 3, 3, stride=2, padding=1, output_padding=1),
}

POOL = {
    "mnist-pool": PoolLayer(64, 32, 28, 28, 2, 2),
    "vgg-pool": PoolLayer(4, 64, 224, 224, 2, 2),
    "resnet-pool": PoolLayer(4, 64, 112, 112, 3, 2, padding=1),
    "inception-pool": PoolLayer(4, 256, 28, 28, 3, 1, padding=1),
}
