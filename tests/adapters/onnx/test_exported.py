"""Small networks of many kinds, as PyTorch exports them, beside ONNX Runtime."""

import io
import warnings

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from onnx_graphs import assert_close, expected, onnx  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from fastconv.adapters.onnx import load  # noqa: E402


class Graph(nn.Module):
    """A network that a function of its layers and of the input describes."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x):
        return self.function(x, *self.layers)


def squeezed_and_excited(x, depthwise, norm, down, up):
    y = functional.silu(norm(depthwise(x)))
    gate = torch.sigmoid(up(functional.relu(down(functional.adaptive_avg_pool2d(y, 1)))))
    return x + y * gate


def shuffled(x, grouped, one):
    left, right = x.chunk(2, 1)
    y = torch.cat([left, one(right)], 1)
    return grouped(y.view(len(y), 2, 4, *y.shape[2:]).transpose(1, 2).reshape(y.shape))


def unet(x, down, bottom, up, end):
    above = functional.relu(down(x))
    below = functional.relu(bottom(functional.max_pool2d(above, 2)))
    wide = functional.interpolate(up(below), scale_factor=2, mode="bilinear", align_corners=False)
    return end(torch.cat([above, wide], 1))


def attended(x, three):
    query, key, value = (each.flatten(2) for each in three(x).chunk(3, 1))
    weights = torch.softmax(torch.matmul(query.transpose(1, 2), key) / 4, -1)
    return torch.matmul(weights, value.transpose(1, 2)).transpose(1, 2).reshape(x.shape) + x


def blocks_of_convnext(x, stem, depthwise, wide, narrow):
    y = stem(x)
    rows = functional.layer_norm(depthwise(y).permute(0, 2, 3, 1), (16,))
    return y + narrow(functional.gelu(wide(rows))).permute(0, 3, 1, 2)


def of_pictures(x, one, two):
    mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return two(functional.relu(one((x / 255 - mean) / spread)))


def resized(x, one):
    y = one(x)
    return torch.cat([functional.interpolate(y, (13, 17), mode="nearest"),
                      functional.interpolate(y, (13, 17), mode="bilinear", align_corners=True),
                      functional.interpolate(y, (13, 17), mode="bicubic")], 1)


def causal(x, dilated, one):
    return functional.relu(dilated(functional.pad(x, (4, 0)))) + one(x)


MODELS = {
    "signals": (nn.Sequential(nn.Conv1d(3, 8, 5, padding=2, stride=2), nn.BatchNorm1d(8), nn.ReLU(),
                              nn.MaxPool1d(3, 2, 1), nn.Conv1d(8, 16, 3, dilation=2), nn.GELU(),
                              nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 4), nn.Softmax(1)), (2, 3, 100)),
    "causal signals": (Graph(causal, nn.Conv1d(4, 8, 3, dilation=2), nn.Conv1d(4, 8, 1)), (2, 4, 30)),
    "volumes": (nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2),
                              nn.ConvTranspose3d(8, 4, 2, stride=2), nn.InstanceNorm3d(4), nn.LeakyReLU(0.1),
                              nn.AvgPool3d(2), nn.Conv3d(4, 2, (1, 3, 3))), (1, 1, 8, 12, 12)),
    "down and up": (Graph(unet, nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 8, 1),
                          nn.Conv2d(16, 1, 3, padding=1)), (1, 3, 32, 48)),
    "generator": (nn.Sequential(nn.ConvTranspose2d(16, 32, 4), nn.BatchNorm2d(32), nn.ReLU(),
                                nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
                                nn.ConvTranspose2d(16, 3, 3, 2, 1, output_padding=1), nn.Tanh()), (2, 16, 1, 1)),
    "squeezed and excited": (Graph(squeezed_and_excited, nn.Conv2d(16, 16, 3, padding=1, groups=16),
                                   nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)), (2, 16, 20, 24)),
    "shuffled": (Graph(shuffled, nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.Conv2d(4, 4, 1)), (2, 8, 9, 11)),
    "pixels shuffled": (nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 12, 3, padding=1),
                                      nn.PixelShuffle(2), nn.PixelUnshuffle(2)), (1, 3, 17, 13)),
    "style": (nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(3, 8, 9), nn.InstanceNorm2d(8, affine=True), nn.ReLU(),
                            nn.Upsample(scale_factor=2), nn.ReplicationPad2d(1), nn.Conv2d(8, 3, 3),
                            nn.ZeroPad2d((1, 0, 2, 1))), (1, 3, 20, 30)),
    "normalised groups": (nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(),
                                        nn.Conv2d(16, 16, 3, groups=4), nn.GroupNorm(1, 16), nn.Mish(),
                                        nn.Conv2d(16, 8, 1)), (2, 3, 16, 16)),
    "normalised first": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1),
                                       nn.MaxPool2d(3, 2, ceil_mode=True), nn.BatchNorm2d(8),
                                       nn.Conv2d(8, 4, 3, padding=1)), (1, 3, 16, 16)),
    "activations": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.Conv2d(8, 8, 1), nn.ELU(), nn.Conv2d(8, 8, 1),
                                  nn.Hardswish(), nn.Conv2d(8, 8, 1), nn.Hardsigmoid(), nn.Softplus(),
                                  nn.AdaptiveAvgPool2d((2, 3)), nn.LogSoftmax(1)), (1, 3, 14, 14)),
    "layers of rows": (Graph(blocks_of_convnext, nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 16, 7, padding=3, groups=16),
                             nn.Linear(16, 64), nn.Linear(64, 16)), (1, 3, 32, 32)),
    "attention": (Graph(attended, nn.Conv2d(16, 48, 1)), (1, 16, 8, 8)),
    "pictures in bytes": (Graph(of_pictures, nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3, stride=2)), (1, 3, 24, 24)),
    "resized": (Graph(resized, nn.Conv2d(3, 3, 1)), (1, 3, 9, 10)),
}


def exported(network, x):
    """The model that PyTorch writes, with normalisations that do something."""
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
    file = io.BytesIO()
    with warnings.catch_warnings():  # PyTorch's other exporter needs a package more
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (x,), file, dynamo=False, input_names=["x"], opset_version=17)
    return onnx.load_from_string(file.getvalue())


@pytest.mark.parametrize("name", MODELS)
def test_a_network_gives_what_onnx_runtime_gives(name):
    network, shape = MODELS[name]
    torch.manual_seed(0)
    x = torch.rand(shape) * 255 if "bytes" in name else torch.randn(shape)
    model, feeds = exported(network, x), {"x": x.numpy()}
    session, wanted = load(model), expected(model, feeds)
    for _ in range(2):  # the second time in the same memory
        results = session.run(feeds)
        assert_close(results, wanted, 1e-5)
        assert all(np.abs(each).max() > 0.01 for each in results)
