"""Bad inputs of the normalisations: (what is wrong, exception, the argument that the message names, call)."""

import numpy as np
from bad_convolutions import F32, F64, X, ones

import fastconv as fc

MEAN, VAR, G = np.zeros(3, F32), ones(3), ones(2, 3, 8, 8)


def maps(function):
    """As a function of x, and of the options."""
    return [
        ("x is None", TypeError, "x", lambda: function(None)),
        ("x is integer", TypeError, "x", lambda: function(X.astype(int))),
        ("x is float16", TypeError, "x", lambda: function(X.astype(np.float16))),
        ("x is one row", ValueError, "x", lambda: function(X[0, 0, 0])),
        ("x has six axes", ValueError, "x", lambda: function(X[None, None])),
        ("x is float64", TypeError, "x", lambda: function(X.astype(F64), weight=VAR)),
        ("data_format is lower case", ValueError, "data_format", lambda: function(X, data_format="nchw")),
        ("data_format is of another rank", ValueError, "data_format", lambda: function(X, data_format="NCL")),
        ("data_format is a number", TypeError, "data_format", lambda: function(X, data_format=1)),
    ]


def affine(function):
    """As a function of the options."""
    return [
        ("weight is too long", ValueError, "weight", lambda: function(weight=ones(4))),
        ("weight is a column", ValueError, "weight", lambda: function(weight=ones(3, 1))),
        ("weight is float64", TypeError, "weight", lambda: function(weight=ones(3, dtype=F64))),
        ("weight is integer", TypeError, "weight", lambda: function(weight=np.ones(3, int))),
        ("eps is negative", ValueError, "eps", lambda: function(eps=-1e-5)),
        ("eps is NaN", ValueError, "eps", lambda: function(eps=np.nan)),
        ("eps is infinite", ValueError, "eps", lambda: function(eps=np.inf)),
        ("eps is None", TypeError, "eps", lambda: function(eps=None)),
        ("eps is a bool", TypeError, "eps", lambda: function(eps=True)),
    ]


def bias(function):
    return [
        ("bias is too short", ValueError, "bias", lambda: function(bias=ones(2))),
        ("bias is float64", TypeError, "bias", lambda: function(bias=ones(3, dtype=F64))),
    ]


def out(function, x):
    return [
        ("out is a list", TypeError, "out", lambda: function(out=[1.0])),
        ("out has another shape", ValueError, "out", lambda: function(out=ones(2, 3))),
        ("out is float64", ValueError, "out", lambda: function(out=x.astype(F64))),
        ("out is x", ValueError, "out", lambda: function(out=x)),
        ("out is not contiguous", ValueError, "out", lambda: function(out=np.ones(x.T.shape, F32).T)),
    ]


def running(function):
    """As a function of running_mean, running_var and the options."""
    return [
        ("running_mean is missing", ValueError, "running_mean", lambda: function(None, VAR)),
        ("running_var is missing", ValueError, "running_var", lambda: function(MEAN, None)),
        ("running_mean is too long", ValueError, "running_mean", lambda: function(ones(4), VAR)),
        ("running_var is float64", TypeError, "running_var", lambda: function(MEAN, ones(3, dtype=F64))),
        ("training is None", TypeError, "training", lambda: function(MEAN, VAR, training=None)),
        ("training is 1", TypeError, "training", lambda: function(MEAN, VAR, training=1)),
        ("activation is unknown", ValueError, "activation", lambda: function(MEAN, VAR, activation="tanh")),
    ]


def gradient(function):
    """As a function of grad_output, and of the options."""
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(None)),
        ("grad_output is integer", TypeError, "grad_output", lambda: function(G.astype(int))),
        ("grad_output is float64", TypeError, "grad_output", lambda: function(G.astype(F64))),
        ("grad_output would broadcast", ValueError, "grad_output", lambda: function(G[:1])),
        ("needs is None", TypeError, "needs", lambda: function(G, needs=None)),
        ("needs has two flags", ValueError, "needs", lambda: function(G, needs=(True, False))),
    ]


READ_ONLY = ones(3)
READ_ONLY.flags.writeable = False

BATCH = (
    maps(lambda x, **options: fc.batch_norm(x, MEAN, VAR, **options))
    + affine(lambda **options: fc.batch_norm(X, MEAN, VAR, **options))
    + bias(lambda **options: fc.batch_norm(X, MEAN, VAR, **options))
    + out(lambda **options: fc.batch_norm(X, MEAN, VAR, **options), X)
    + running(lambda *statistics, **options: fc.batch_norm(X, *statistics, **options))
    + [
        ("running_mean is a list that would be updated", TypeError, "running_mean",
         lambda: fc.batch_norm(X, [0.0, 0.0, 0.0], VAR, training=True)),
        ("running_var is read-only", ValueError, "running_var",
         lambda: fc.batch_norm(X, MEAN, READ_ONLY, training=True)),
        ("one of the running statistics is None in training", ValueError, "running_var",
         lambda: fc.batch_norm(X, MEAN, None, training=True)),
        ("a channel has one value in training", ValueError, "x",
         lambda: fc.batch_norm(X[:1, :, :1, :1], None, None, training=True)),
        ("momentum is None", TypeError, "momentum", lambda: fc.batch_norm(X, MEAN, VAR, momentum=None)),
        ("momentum is above 1", ValueError, "momentum", lambda: fc.batch_norm(X, MEAN, VAR, momentum=1.5)),
        ("momentum is negative", ValueError, "momentum", lambda: fc.batch_norm(X, MEAN, VAR, momentum=-0.1)),
        ("momentum is NaN", ValueError, "momentum", lambda: fc.batch_norm(X, MEAN, VAR, momentum=np.nan)),
        ("return_statistics is None", TypeError, "return_statistics",
         lambda: fc.batch_norm(X, MEAN, VAR, return_statistics=None)),
    ])
BATCH_BACKWARD = (
    maps(lambda x, **options: fc.batch_norm_backward(np.ones_like(x) if isinstance(x, np.ndarray) else G, x, MEAN, VAR,
                                                     **options))
    + affine(lambda **options: fc.batch_norm_backward(G, X, MEAN, VAR, **options))
    + bias(lambda **options: fc.batch_norm_backward(G, X, MEAN, VAR, **options))
    + running(lambda *statistics, **options: fc.batch_norm_backward(G, X, *statistics, **options))
    + gradient(lambda grad, **options: fc.batch_norm_backward(grad, X, MEAN, VAR, **options))
    + [
        ("a channel has one value in training", ValueError, "x",
         lambda: fc.batch_norm_backward(G[:1, :, :1, :1], X[:1, :, :1, :1], None, None, training=True)),
        ("statistics is a list", TypeError, "statistics",
         lambda: fc.batch_norm_backward(G, X, None, None, training=True, statistics=[MEAN, VAR])),
        ("statistics is float32", TypeError, "statistics",
         lambda: fc.batch_norm_backward(G, X, None, None, training=True, statistics=(MEAN, VAR))),
        ("statistics is too short", ValueError, "statistics",
         lambda: fc.batch_norm_backward(G, X, None, None, training=True, statistics=(np.ones(2), np.ones(2)))),
        ("statistics is given without training", ValueError, "statistics",
         lambda: fc.batch_norm_backward(G, X, MEAN, VAR, statistics=(np.ones(3), np.ones(3)))),
    ])


def cut(function):
    return [
        ("num_groups does not divide the channels", ValueError, "num_groups", lambda: function(2)),
        ("num_groups is 0", ValueError, "num_groups", lambda: function(0)),
        ("num_groups is a float", TypeError, "num_groups", lambda: function(3.0)),
        ("num_groups is None", TypeError, "num_groups", lambda: function(None)),
    ]


GROUP = (maps(lambda x, **options: fc.group_norm(x, 3, **options))
         + affine(lambda **options: fc.group_norm(X, 3, **options))
         + bias(lambda **options: fc.group_norm(X, 3, **options))
         + out(lambda **options: fc.group_norm(X, 3, **options), X)
         + cut(lambda number: fc.group_norm(X, number)))
GROUP_BACKWARD = (
    maps(lambda x, **options: fc.group_norm_backward(np.ones_like(x) if isinstance(x, np.ndarray) else G, x, 3,
                                                     **options))
    + affine(lambda **options: fc.group_norm_backward(G, X, 3, **options))
    + gradient(lambda grad, **options: fc.group_norm_backward(grad, X, 3, **options))
    + cut(lambda number: fc.group_norm_backward(G, X, number)))

ROWS = ones(2, 4, 3)


def rows(function):
    """As a function of x, normalized_shape and the options."""
    return [
        ("x is None", TypeError, "x", lambda: function(None, 3)),
        ("x is integer", TypeError, "x", lambda: function(ROWS.astype(int), 3)),
        ("x is a number", ValueError, "normalized_shape", lambda: function(np.array(F32(1)), 1)),
        ("normalized_shape is another size", ValueError, "normalized_shape", lambda: function(ROWS, 4)),
        ("normalized_shape is a leading axis", ValueError, "normalized_shape", lambda: function(ROWS, (2, 4))),
        ("normalized_shape is longer than x", ValueError, "normalized_shape", lambda: function(ROWS, (1, 2, 4, 3))),
        ("normalized_shape is empty", ValueError, "normalized_shape", lambda: function(ROWS, ())),
        ("normalized_shape is a float", TypeError, "normalized_shape", lambda: function(ROWS, 3.0)),
        ("normalized_shape is None", TypeError, "normalized_shape", lambda: function(ROWS, None)),
        ("weight is of one axis", ValueError, "weight", lambda: function(ROWS, (4, 3), weight=ones(3))),
    ]


LAYER = (rows(fc.layer_norm) + affine(lambda **options: fc.layer_norm(ROWS, 3, **options))
         + bias(lambda **options: fc.layer_norm(ROWS, 3, **options))
         + out(lambda **options: fc.layer_norm(ROWS, 3, **options), ROWS))
LAYER_BACKWARD = (
    rows(lambda x, *arguments, **options: fc.layer_norm_backward(
        np.ones_like(x) if isinstance(x, np.ndarray) else ROWS, x, *arguments, **options))
    + affine(lambda **options: fc.layer_norm_backward(ROWS, ROWS, 3, **options))
    + gradient(lambda grad, **options: fc.layer_norm_backward(grad, G, 8, **options)))

TABLE = {
    "batch_norm": BATCH, "batch_norm_backward": BATCH_BACKWARD,
    "group_norm": GROUP, "group_norm_backward": GROUP_BACKWARD,
    "layer_norm": LAYER, "layer_norm_backward": LAYER_BACKWARD,
}
