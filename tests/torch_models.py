"""The networks of torchvision, and milesial/Pytorch-UNet's, in plain PyTorch, with their names:
what state dicts come from."""

import torch
from torch import nn


def conv_bn(in_channels, out_channels, kernel_size, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
              nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class BasicBlock(nn.Module):
    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = conv_bn(in_channels, channels, 1, stride) if stride != 1 or in_channels != channels else None

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, classes, in_channels, widths=(64, 128, 256, 512), depth=2, small=False):
        super().__init__()
        self.small = small
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3 if small else 7, 1 if small else 2,
                               1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for stage, width in enumerate(widths, 1):
            blocks = [BasicBlock(before if i == 0 else width, width, 2 if i == 0 and stage > 1 else 1)
                      for i in range(depth)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            before = width
        self.stages = len(widths)
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, channels, stride, expand_ratio):
        super().__init__()
        inside = in_channels * expand_ratio
        layers = [conv_bn(in_channels, inside, 1, activation=nn.ReLU6)] if expand_ratio != 1 else []
        layers += [conv_bn(inside, inside, 3, stride, inside, nn.ReLU6), *conv_bn(inside, channels, 1)]
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


def divisible(value):
    new = max(8, int(value + 4) // 8 * 8)
    return new + 8 if new < 0.9 * value else new


class MobileNetV2(nn.Module):
    def __init__(self, classes, in_channels=3, width=1.0):
        super().__init__()
        before = divisible(32 * width)
        features = [conv_bn(in_channels, before, 3, 2, activation=nn.ReLU6)]
        for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                           (6, 320, 1, 1)):
            for i in range(n):
                features.append(InvertedResidual(before, divisible(c * width), s if i == 0 else 1, t))
                before = divisible(c * width)
        last = divisible(1280 * max(1.0, width))
        features.append(conv_bn(before, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class VGG11(nn.Module):
    def __init__(self, classes, in_channels=3, batch_norm=False, hidden=4096):
        super().__init__()
        layers = []
        for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
            if width == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]
            in_channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden),
                                        nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class DoubleConv(nn.Module):
    def __init__(self, in_channels, channels, inside=None):
        super().__init__()
        inside = inside or channels
        self.double_conv = nn.Sequential(*conv_bn(in_channels, inside, 3, activation=nn.ReLU),
                                         *conv_bn(inside, channels, 3, activation=nn.ReLU))

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels, channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, 2, 2)
            self.conv = DoubleConv(in_channels, channels)

    def forward(self, x, kept):
        x = self.up(x)
        rows, columns = kept.shape[2] - x.shape[2], kept.shape[3] - x.shape[3]
        x = nn.functional.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return self.conv(torch.cat([kept, x], 1))


class OutConv(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, in_channels, classes, features=64, depth=4, bilinear=False):
        super().__init__()
        self.depth, factor = depth, 2 if bilinear else 1
        self.inc = DoubleConv(in_channels, features)
        for level in range(1, depth + 1):
            channels = features * 2**level
            setattr(self, f"down{level}", Down(channels // 2, channels // factor if level == depth else channels))
        for level in range(depth, 0, -1):
            channels = features * 2 ** (level - 1)
            setattr(self, f"up{depth - level + 1}",
                    Up(2 * channels, channels // factor if level > 1 else channels, bilinear))
        self.outc = OutConv(features, classes)

    def forward(self, x):
        kept = []
        x = self.inc(x)
        for level in range(1, self.depth + 1):
            kept.append(x)
            x = getattr(self, f"down{level}")(x)
        for level in range(1, self.depth + 1):
            x = getattr(self, f"up{level}")(x, kept.pop())
        return self.outc(x)
