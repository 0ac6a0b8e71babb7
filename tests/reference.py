"""The float64 reference of every operation: plain loops, to be checked by eye against the formulas.

Images are (N, C, H, W) and windows are given in full: stride and dilation as (rows, columns), padding in any public
form. The loops run over pixels, taps and groups; only images and channels are taken all at once.
"""

import math

import numpy as np

# ---------------------------------------------------------------------------------------------------------------------
# Windows


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def pads(padding, size, kernel_size, stride, dilation):
    """Every form of padding -> ((top, bottom), (left, right))."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    if padding == "same":
        result = []
        for length, taps, step, distance in zip(size, kernel_size, stride, dilation):
            outputs = math.ceil(length / step)
            total = max(0, (outputs - 1) * step + distance * (taps - 1) + 1 - length)
            result.append((total // 2, total - total // 2))
        return tuple(result)
    return tuple(pair(of_axis) for of_axis in pair(padding))


def output_size(length, taps, step, before_after, distance, ceil_mode=False):
    """(H + P - FH) / S + 1, rounded down, or up as long as the last window starts in the image or its first padding."""
    room = length + sum(before_after) - (distance * (taps - 1) + 1)
    if not ceil_mode:
        return math.floor(room / step) + 1
    count = math.ceil(room / step) + 1
    return count - 1 if (count - 1) * step >= length + before_after[0] else count


def sources(length, before_after, mode):
    """For each position of a padded axis the index of the pixel that it repeats, None for the constant."""
    before, after = before_after
    result = []
    for u in range(-before, length + after):
        if 0 <= u < length:
            result.append(u)
        elif mode == "constant":
            result.append(None)
        elif mode == "reflect":
            there_and_back = [*range(length), *range(length - 2, 0, -1)]
            result.append(there_and_back[u % len(there_and_back)])
        elif mode == "symmetric":
            there_and_back = [*range(length), *range(length - 1, -1, -1)]
            result.append(there_and_back[u % len(there_and_back)])
        elif mode == "replicate":
            result.append(0 if u < 0 else length - 1)
        elif mode == "circular":
            result.append(u % length)
    return result


def pad(x, padding, mode="constant", value=0.0):
    n, c, h, w = x.shape
    rows, columns = sources(h, padding[0], mode), sources(w, padding[1], mode)
    padded = np.full((n, c, len(rows), len(columns)), value, dtype=np.float64)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if row is not None and column is not None:
                padded[:, :, i, j] = x[:, :, row, column]
    return padded


def unpad(grad_padded, h, w, padding, mode="constant"):
    """The adjoint of ``pad``: what falls on a padded position belongs to the pixel that it repeats."""
    n, c = grad_padded.shape[:2]
    rows, columns = sources(h, padding[0], mode), sources(w, padding[1], mode)
    grad_x = np.zeros((n, c, h, w))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if row is not None and column is not None:
                grad_x[:, :, row, column] += grad_padded[:, :, i, j]
    return grad_x


# ---------------------------------------------------------------------------------------------------------------------
# Convolution


def _taps(padded, weight_shape, stride, dilation):
    """For each tap (r, s) of the filter the index of the padded pixels that it meets, in the order of the outputs."""
    taps_h, taps_w = weight_shape[2:]
    oh = (padded.shape[2] - dilation[0] * (taps_h - 1) - 1) // stride[0] + 1
    ow = (padded.shape[3] - dilation[1] * (taps_w - 1) - 1) // stride[1] + 1
    for r in range(taps_h):
        for s in range(taps_w):
            rows = [i * stride[0] + r * dilation[0] for i in range(oh)]
            columns = [j * stride[1] + s * dilation[1] for j in range(ow)]
            yield r, s, np.ix_(range(padded.shape[0]), range(padded.shape[1]), rows, columns)


def _groups(c, k, groups):
    for g in range(groups):
        yield slice(g * c // groups, (g + 1) * c // groups), slice(g * k // groups, (g + 1) * k // groups)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, padding_mode="constant", padding_value=0.0):
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    stride, dilation = pair(stride), pair(dilation)
    padding = pads(padding, x.shape[2:], weight.shape[2:], stride, dilation)
    padded = pad(x, padding, padding_mode, padding_value)
    y = 0.0
    for r, s, pixels in _taps(padded, weight.shape, stride, dilation):
        met = padded[pixels]
        y = y + np.concatenate([np.einsum("nchw,kc->nkhw", met[:, c], weight[k, :, r, s])
                                for c, k in _groups(x.shape[1], weight.shape[0], groups)], axis=1)
    return y if bias is None else y + np.asarray(bias, np.float64)[None, :, None, None]


def conv2d_backward(grad_output, x, weight, stride=1, padding=0, dilation=1, groups=1, padding_mode="constant",
                    padding_value=0.0):
    grad_output, x, weight = (np.asarray(a, np.float64) for a in (grad_output, x, weight))
    stride, dilation = pair(stride), pair(dilation)
    padding = pads(padding, x.shape[2:], weight.shape[2:], stride, dilation)
    padded = pad(x, padding, padding_mode, padding_value)
    grad_padded, grad_weight = np.zeros(padded.shape), np.zeros(weight.shape)
    for r, s, pixels in _taps(padded, weight.shape, stride, dilation):
        met, share = padded[pixels], []
        for c, k in _groups(x.shape[1], weight.shape[0], groups):
            grad_weight[k, :, r, s] = np.einsum("nkhw,nchw->kc", grad_output[:, k], met[:, c])
            share.append(np.einsum("nkhw,kc->nchw", grad_output[:, k], weight[k, :, r, s]))
        grad_padded[pixels] += np.concatenate(share, axis=1)
    grad_x = unpad(grad_padded, *x.shape[2:], padding, padding_mode)
    return grad_x, grad_weight, grad_output.sum(axis=(0, 2, 3))


# ---------------------------------------------------------------------------------------------------------------------
# Pooling


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """PyTorch's rules: the first of equal maxima wins, the last NaN wins over all else; indices are flat in H*W."""
    x = np.asarray(x, np.float64)
    n, c, h, w = x.shape
    kernel_size, dilation = pair(kernel_size), pair(dilation)
    stride = kernel_size if stride is None else pair(stride)
    (top, bottom), (left, right) = pads(padding, (h, w), kernel_size, stride, dilation)
    oh = output_size(h, kernel_size[0], stride[0], (top, bottom), dilation[0], ceil_mode)
    ow = output_size(w, kernel_size[1], stride[1], (left, right), dilation[1], ceil_mode)
    y, indices = np.empty((n, c, oh, ow)), np.empty((n, c, oh, ow), np.int64)
    for i in range(oh):
        for j in range(ow):
            rows = [i * stride[0] - top + r * dilation[0] for r in range(kernel_size[0])]
            columns = [j * stride[1] - left + s * dilation[1] for s in range(kernel_size[1])]
            y[:, :, i, j], indices[:, :, i, j] = _maximum(
                x, [u for u in rows if 0 <= u < h], [v for v in columns if 0 <= v < w])
    return y, indices


def _maximum(x, rows, columns):
    w = x.shape[3]
    best = x[:, :, rows[0], columns[0]].copy()
    index = np.full(best.shape, rows[0] * w + columns[0])
    for u in rows:
        for v in columns:
            value = x[:, :, u, v]
            wins = (value > best) | np.isnan(value)
            best[wins], index[wins] = value[wins], u * w + v
    return best, index


def max_pool2d_backward(grad_output, indices, input_shape):
    n, c, h, w = input_shape
    grad_x = np.zeros((n, c, h * w))
    for image in range(n):
        for channel in range(c):
            np.add.at(grad_x[image, channel], indices[image, channel].ravel(), grad_output[image, channel].ravel())
    return grad_x.reshape(input_shape)


def _average_windows(input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad):
    """For each output its pixels (rows, columns) and by how many it divides."""
    h, w = input_shape[2:]
    kernel_size = pair(kernel_size)
    stride = kernel_size if stride is None else pair(stride)
    (top, bottom), (left, right) = pads(padding, (h, w), kernel_size, stride, (1, 1))
    oh = output_size(h, kernel_size[0], stride[0], (top, bottom), 1, ceil_mode)
    ow = output_size(w, kernel_size[1], stride[1], (left, right), 1, ceil_mode)
    for i in range(oh):
        for j in range(ow):
            # A window of ceil_mode may reach beyond the padding: that part is never counted.
            rows = [u for u in range(i * stride[0] - top, i * stride[0] - top + kernel_size[0]) if u < h + bottom]
            columns = [v for v in range(j * stride[1] - left, j * stride[1] - left + kernel_size[1]) if v < w + right]
            pixels = [u for u in rows if 0 <= u < h], [v for v in columns if 0 <= v < w]
            counted = (rows, columns) if count_include_pad else pixels
            yield i, j, *pixels, len(counted[0]) * len(counted[1])


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    x = np.asarray(x, np.float64)
    windows = list(_average_windows(x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad))
    y = np.empty(x.shape[:2] + (windows[-1][0] + 1, windows[-1][1] + 1))
    for i, j, rows, columns, count in windows:
        y[:, :, i, j] = sum(x[:, :, u, v] for u in rows for v in columns) / count
    return y


def avg_pool2d_backward(grad_output, input_shape, kernel_size, stride=None, padding=0, ceil_mode=False,
                        count_include_pad=True):
    grad_x = np.zeros(input_shape)
    for i, j, rows, columns, count in _average_windows(
            input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad):
        for u in rows:
            for v in columns:
                grad_x[:, :, u, v] += np.asarray(grad_output[:, :, i, j], np.float64) / count
    return grad_x


def _adaptive_windows(input_shape, output_size):
    """Output i sees the pixels from floor(i H / OH) up to, not including, ceil((i + 1) H / OH)."""
    h, w = input_shape[2:]
    oh, ow = pair(output_size)
    for i in range(oh):
        for j in range(ow):
            yield (i, j, range(math.floor(i * h / oh), math.ceil((i + 1) * h / oh)),
                   range(math.floor(j * w / ow), math.ceil((j + 1) * w / ow)))


def adaptive_avg_pool2d(x, output_size):
    x = np.asarray(x, np.float64)
    y = np.empty(x.shape[:2] + pair(output_size))
    for i, j, rows, columns in _adaptive_windows(x.shape, output_size):
        y[:, :, i, j] = sum(x[:, :, u, v] for u in rows for v in columns) / (len(rows) * len(columns))
    return y


def adaptive_avg_pool2d_backward(grad_output, input_shape):
    grad_x = np.zeros(input_shape)
    for i, j, rows, columns in _adaptive_windows(input_shape, grad_output.shape[2:]):
        for u in rows:
            for v in columns:
                grad_x[:, :, u, v] += np.asarray(grad_output[:, :, i, j], np.float64) / (len(rows) * len(columns))
    return grad_x


def adaptive_max_pool2d(x, output_size):
    x = np.asarray(x, np.float64)
    y = np.empty(x.shape[:2] + pair(output_size))
    indices = np.empty(y.shape, np.int64)
    for i, j, rows, columns in _adaptive_windows(x.shape, output_size):
        y[:, :, i, j], indices[:, :, i, j] = _maximum(x, rows, columns)
    return y, indices


# ---------------------------------------------------------------------------------------------------------------------
# Activations and losses; the gradients are the derivatives written out


def relu(x):
    return np.where(np.asarray(x, np.float64) < 0, 0.0, x)


def relu_backward(grad_output, x):
    return np.where(np.asarray(x) > 0, grad_output, 0.0).astype(np.float64)


def relu6(x):
    return np.where(np.asarray(x, np.float64) > 6, 6.0, relu(x))


def relu6_backward(grad_output, x):
    return np.where(np.asarray(x) < 6, relu_backward(grad_output, x), 0.0)


def leaky_relu(x, negative_slope=0.01):
    x = np.asarray(x, np.float64)
    return np.where(x < 0, negative_slope * x, x)


def leaky_relu_backward(grad_output, x, negative_slope=0.01):
    grad_output = np.asarray(grad_output, np.float64)
    return np.where(np.asarray(x) > 0, grad_output, negative_slope * grad_output)


def sigmoid(x):
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid_backward(grad_output, y):
    grad_output, y = np.asarray(grad_output, np.float64), np.asarray(y, np.float64)
    return grad_output * y * (1 - y)


def tanh(x):
    return np.tanh(np.asarray(x, np.float64))


def tanh_backward(grad_output, y):
    grad_output, y = np.asarray(grad_output, np.float64), np.asarray(y, np.float64)
    return grad_output * (1 - y**2)


def linear(x, weight, bias=None):
    y = np.asarray(x, np.float64) @ np.asarray(weight, np.float64).T
    return y if bias is None else y + np.asarray(bias, np.float64)


def linear_backward(grad_output, x, weight):
    grad_output, x, weight = (np.asarray(a, np.float64) for a in (grad_output, x, weight))
    return grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)


def log_softmax(x, axis=-1):
    x = np.asarray(x, np.float64)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def log_softmax_backward(grad_output, y, axis=-1):
    grad_output, y = np.asarray(grad_output, np.float64), np.asarray(y, np.float64)
    return grad_output - np.exp(y) * grad_output.sum(axis=axis, keepdims=True)


def softmax(x, axis=-1):
    return np.exp(log_softmax(x, axis))


def softmax_backward(grad_output, y, axis=-1):
    grad_output, y = np.asarray(grad_output, np.float64), np.asarray(y, np.float64)
    return y * (grad_output - (grad_output * y).sum(axis=axis, keepdims=True))


def _reduced(losses, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.array}[reduction](losses)


def nll_loss(log_probs, target, reduction="mean"):
    return _reduced([-float(log_probs[row, label]) for row, label in enumerate(target)], reduction)


def nll_loss_backward(log_probs, target, reduction="mean", grad_output=1.0):
    grad = np.zeros(log_probs.shape)
    each = np.broadcast_to(grad_output, len(target)) / (len(target) if reduction == "mean" else 1)
    for row, label in enumerate(target):
        grad[row, label] = -each[row]
    return grad


def _smoothed(target, classes, label_smoothing):
    """The wanted distribution of each row: the label's share, and the rest spread evenly over all classes."""
    wanted = np.full((len(target), classes), label_smoothing / classes)
    for row, label in enumerate(target):
        wanted[row, label] += 1 - label_smoothing
    return wanted


def cross_entropy(logits, target, reduction="mean", label_smoothing=0.0):
    wanted = _smoothed(target, logits.shape[1], label_smoothing)
    return _reduced(-(wanted * log_softmax(logits)).sum(axis=1), reduction)


def cross_entropy_backward(logits, target, reduction="mean", label_smoothing=0.0, grad_output=1.0):
    wanted = _smoothed(target, logits.shape[1], label_smoothing)
    each = np.broadcast_to(grad_output, len(target)) / (len(target) if reduction == "mean" else 1)
    return (softmax(logits) - wanted) * each[:, None]


# ---------------------------------------------------------------------------------------------------------------------
# Activations that stand by themselves: (f, f'), x in float64

normal_distribution = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[np.float64])


def elu(x, alpha=1.0):
    below = np.minimum(x, 0)
    return np.where(x > 0, x, alpha * np.expm1(below)), np.where(x > 0, 1.0, alpha * np.exp(below))


def gelu(x, approximate="none"):
    if approximate == "none":
        density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return x * normal_distribution(x), normal_distribution(x) + x * density
    factor = 2 * math.sqrt(2 / math.pi)
    s = sigmoid(factor * (x + 0.044715 * x**3))
    return x * s, s + x * s * sigmoid(-factor * (x + 0.044715 * x**3)) * factor * (1 + 3 * 0.044715 * x**2)


def silu(x):
    return x * sigmoid(x), sigmoid(x) * (1 + x * sigmoid(-x))


def hardswish(x):
    return (np.where(x <= -3, 0.0, np.where(x >= 3, x, x * (x + 3) / 6)),
            np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x / 3 + 0.5)))


def hardsigmoid(x):
    return np.clip((x + 3) / 6, 0, 1), np.where((x > -3) & (x < 3), 1 / 6, 0.0)


def softplus(x, beta=1.0, threshold=20.0):
    straight = beta * x > threshold
    return np.where(straight, x, np.logaddexp(0, beta * x) / beta), np.where(straight, 1.0, sigmoid(beta * x))


# ---------------------------------------------------------------------------------------------------------------------
# Losses of numbers: (the loss of each, its derivative with respect to x)


def squared(x, t):
    return (x - t) ** 2, 2 * (x - t)


def absolute(x, t):
    return np.abs(x - t), np.sign(x - t)


def huber(x, t, delta=1.0):
    d = np.abs(x - t)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)), np.clip(x - t, -delta, delta)


def smooth_l1(x, t, beta=1.0):
    if beta == 0:
        return absolute(x, t)
    loss, derivative = huber(x, t, beta)
    return loss / beta, derivative / beta


def logistic(x, t, weight=1.0, pos_weight=1.0):
    loss = (1 - t) * np.logaddexp(0, x) + pos_weight * t * np.logaddexp(0, -x)
    return weight * loss, weight * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))
