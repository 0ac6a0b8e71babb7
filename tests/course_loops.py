"""The layers of the courses as plain loops in float64: what each of their formulas says, a pixel at a time."""

import numpy as np


def windows(x, height, width, stride, pad):
    """Each output's place (n, i, j), and the rows and columns of the padded images that it sees."""
    n, _, h, w = x.shape
    for image in range(n):
        for i in range((h + 2 * pad - height) // stride + 1):
            for j in range((w + 2 * pad - width) // stride + 1):
                yield image, i, j, slice(i * stride, i * stride + height), slice(j * stride, j * stride + width)


def padded(x, pad):
    return np.pad(np.asarray(x, np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def outputs(x, height, width, stride, pad):
    n, _, h, w = x.shape
    return n, (h + 2 * pad - height) // stride + 1, (w + 2 * pad - width) // stride + 1


def conv_forward(x, w, b, stride, pad):
    n, oh, ow = outputs(x, *w.shape[2:], stride, pad)
    big, out = padded(x, pad), np.zeros((n, len(w), oh, ow))
    for image, i, j, rows, columns in windows(x, *w.shape[2:], stride, pad):
        for k in range(len(w)):
            out[image, k, i, j] = np.sum(big[image, :, rows, columns] * w[k]) + b[k]
    return out


def conv_backward(dout, x, w, stride, pad):
    big = padded(x, pad)
    dbig, dw, db = np.zeros_like(big), np.zeros(w.shape), np.zeros(len(w))
    for image, i, j, rows, columns in windows(x, *w.shape[2:], stride, pad):
        for k in range(len(w)):
            dbig[image, :, rows, columns] += w[k] * dout[image, k, i, j]
            dw[k] += big[image, :, rows, columns] * dout[image, k, i, j]
            db[k] += dout[image, k, i, j]
    return dbig[:, :, pad:pad + x.shape[2], pad:pad + x.shape[3]], dw, db


def pool_forward(x, height, width, stride):
    """The maxima, and where in its window the first of each is."""
    n, oh, ow = outputs(x, height, width, stride, 0)
    out, places = np.zeros((n, x.shape[1], oh, ow)), np.zeros((n, x.shape[1], oh, ow), int)
    for image, i, j, rows, columns in windows(x, height, width, stride, 0):
        for c in range(x.shape[1]):
            places[image, c, i, j] = np.argmax(x[image, c, rows, columns])
            out[image, c, i, j] = np.max(x[image, c, rows, columns])
    return out, places


def pool_backward(dout, x, height, width, stride):
    dx, (_, places) = np.zeros(x.shape), pool_forward(x, height, width, stride)
    for image, i, j, rows, columns in windows(x, height, width, stride, 0):
        for c in range(x.shape[1]):
            row, column = divmod(places[image, c, i, j], width)
            dx[image, c, rows.start + row, columns.start + column] += dout[image, c, i, j]
    return dx


def columns_of(x, height, width, stride, pad):
    """The windows as (C, HH, WW, N, OH, OW)."""
    n, oh, ow = outputs(x, height, width, stride, pad)
    big, columns = padded(x, pad), np.zeros((x.shape[1], height, width, n, oh, ow))
    for image, i, j, rows, cols in windows(x, height, width, stride, pad):
        columns[:, :, :, image, i, j] = big[image, :, rows, cols]
    return columns


def sum_of_columns(columns, size, stride, pad):
    """The images to which the windows (C, HH, WW, N, OH, OW) add up."""
    c, height, width, n, oh, ow = columns.shape
    big = np.zeros((n, c, size[0] + 2 * pad, size[1] + 2 * pad))
    for image in range(n):
        for i in range(oh):
            for j in range(ow):
                rows, cols = slice(i * stride, i * stride + height), slice(j * stride, j * stride + width)
                big[image, :, rows, cols] += columns[..., image, i, j]
    return big[:, :, pad:pad + size[0], pad:pad + size[1]]
