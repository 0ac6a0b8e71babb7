"""What a convolution of given shapes will do: output size by the formula, algorithm, operations, bytes, workspace."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.functional import checks, expressions
from fastconv.functional.conv import IMAGES
from fastconv.functional.signals import SIGNALS
from fastconv.functional.transposed_explanation import explained
from fastconv.functional.typing import (
    Algorithm,
    DataFormat,
    DataFormat1d,
    DataFormat3d,
    FloatDType,
    Padding,
    Padding1d,
    Padding3d,
    PaddingMode,
    Pair,
    Single,
    Triple,
)
from fastconv.functional.volumes import VOLUMES

CONVOLUTIONS = {3: SIGNALS, 4: IMAGES, 5: VOLUMES}  # by the axes of weight
AXES = {1: "L", 2: "HW", 3: "DHW"}
BESIDE = {"L": ("PL", "PR"), "D": ("PF", "PB"), "H": ("PT", "PB"), "W": ("PL", "PR")}  # names of uneven padding


class ConvExplanation(NamedTuple):
    """What `explain` returns: print it, read its attributes, or take `to_dict()` for JSON.

    Attributes
    ----------
    x_shape, weight_shape, output_shape : tuple of int
        As given and as returned, in `data_format`.
    dtype, data_format, padding_mode : str
    stride, dilation : (int, int)
        Of rows and columns; of a signal (int,), of a volume (int, int, int), and so with what follows.
    padding : ((int, int), (int, int))
        Rows above and below, columns left and right, in numbers.
    groups : int
    formula : (str, str)
        The output height and width, with the numbers filled in.
    algorithm, reason : str
        What is chosen, and why.
    driver : str
        The path within the algorithm: "direct" is depthwise, where a group has one channel, or direct.
    candidates : tuple of (str, float or None, str or None)
        For each driver, of volumes for each way, its expected time in nanoseconds on one thread, or the reason why it
        is not taken.
    flops : int
        Multiplications and additions of the direct sum.
    bytes : int
        The fewest bytes that must move: input, weights and output once each.
    workspace : int
        Bytes of scratch that a call on C-contiguous arrays takes at a time, with the threads that it would use now:
        at most 8 MB a thread.
    """

    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    dtype: str
    data_format: str
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str
    formula: tuple[str, ...]
    algorithm: str
    reason: str
    driver: str
    candidates: tuple[tuple[str, float | None, str | None], ...]
    flops: int
    bytes: int
    workspace: int

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain lists, strings and numbers."""
        return {name: _plain(value) for name, value in self._asdict().items()}

    def __str__(self) -> str:
        rows = [
            ("input", f"{_sizes(self.x_shape)} ({self.data_format}, {self.dtype})"),
            ("weight", _sizes(self.weight_shape) + (f", {self.groups} groups" if self.groups > 1 else "")),
            ("output", _sizes(self.output_shape)),
            *(("", formula) for formula in self.formula),
            ("algorithm", f"{self.algorithm} ({self.reason})"),
            *(("" if row else "candidates", text) for row, text in enumerate(map(_candidate, self.candidates))),
            ("FLOPs", f"{self.flops:,} (2 for each multiplication with its addition)"),
            ("bytes",
             f"{self.bytes:,} (input, weights and output once each), "
             f"{self.flops / max(1, self.bytes):.1f} FLOPs a byte"),
            ("workspace", f"{self.workspace:,} bytes besides the output"),
        ]
        return "\n".join(f"{name:<10} {text}" for name, text in rows)


def explain(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: Pair | Single | Triple = 1,
            padding: Padding | Padding1d | Padding3d = 0, dilation: Pair | Single | Triple = 1, groups: int = 1,
            padding_mode: PaddingMode = "constant", data_format: DataFormat | DataFormat1d | DataFormat3d | None = None,
            dtype: FloatDType = "float32", algorithm: Algorithm = "auto", transposed: bool = False,
            output_padding: Pair | Single | Triple = 0,
            output_size: Pair | Single | Triple | None = None) -> ConvExplanation:
    """Explain what `conv2d` does with inputs of these shapes, without computing it; or `conv1d`, or `conv3d`, or one
    of the transposed convolutions.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, H, W) or (C, H, W); with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C).
    weight_shape : tuple of int
        (K, C/groups, R, S); of a signal (K, C/groups, S), of a volume (K, C/groups, T, R, S). With
        ``transposed=True`` (C, K/groups, ...).
    stride, padding, dilation, groups, padding_mode, algorithm
        As in `conv2d`.
    data_format : str, optional
        As in the function; by default channels first, "NCL", "NCHW" or "NCDHW".
    dtype : {"float32", "float64"}
        Type of the arrays.
    transposed : bool
        Whether it is `conv_transpose2d`: `driver` and `candidates` are then ways to the data gradient.
    output_padding, output_size
        As in `conv_transpose2d`.

    Returns
    -------
    ConvExplanation
        Prints as text; its attributes and ``to_dict()`` are for programs.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d` or `conv_transpose2d`; MemoryError for arrays that no memory could hold.

    Examples
    --------
    >>> import fastconv as fc
    >>> explanation = fc.explain((3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    >>> print(explanation.formula[0])
    OH = floor((H + 2P - FH) / S) + 1 = floor((224 + 2*3 - 7) / 2) + 1 = floor(111.5) + 1 = 112
    >>> explanation.flops
    236027904
    >>> print(fc.explain((512, 4, 4), (512, 256, 4, 4), stride=2, padding=1, transposed=True).formula[0])
    OH = (H - 1) S - 2P + FH = (4 - 1) * 2 - 2*1 + 4 = 8
    """
    x_shape = checks.integers(x_shape, "x_shape", 0)
    weight_shape = checks.integers(weight_shape, "weight_shape", 0)
    of = CONVOLUTIONS.get(len(weight_shape), IMAGES)
    if of is not IMAGES and len(x_shape) not in (of.axes + 1, of.axes + 2):
        raise ValueError("weight_shape must have 3 sizes for signals, 4 for images and 5 for volumes, "
                         f"got {weight_shape} beside x_shape {x_shape}")
    form: str = checks.FORMATS[of.axes][0] if data_format is None else data_format
    sizes, batched = checks.image_shape(x_shape, form, "x_shape", of.axes, weight_shape)
    if len(weight_shape) != of.axes + 2 or 0 in (weight_shape[0], *weight_shape[2:]):
        raise ValueError(f"weight_shape must be that of weight, {checks.filters_form(of.axes)}, "
                         "without an empty axis but that of the channels, "
                         f"got {weight_shape}{expressions.filter_sizes(weight_shape, sizes[1])}")
    dtype = checks.float_dtype(dtype, "dtype")
    if checks.flag(transposed, "transposed"):
        if checks.choice(padding_mode, "padding_mode", checks.PADDING_MODES) != "constant":
            raise ValueError(f"padding_mode must be 'constant' with transposed=True, got {padding_mode!r}")
        options = stride, padding, output_padding, output_size, dilation, groups
        return ConvExplanation(dtype=f"float{8 * dtype.itemsize}", data_format=form, padding_mode=padding_mode,
                               **explained(sizes, batched, weight_shape, dtype, form, algorithm, options))
    if output_size is not None:
        raise ValueError("output_size must be left out without transposed=True: the convolution has one size")
    if any(checks.per_axis(output_padding, "output_padding", of.axes, 0)):
        raise ValueError("output_padding must be left at 0 without transposed=True: the convolution has one size")
    groups = checks.integer(groups, "groups", 1)
    square = of is SIGNALS and weight_shape[1] == weight_shape[2]
    if square and len(x_shape) == 3 and weight_shape[1] * groups != sizes[1]:  # (K, R, S), that of an image's filters
        raise ValueError("weight_shape must be that of weight, (K, C/groups, S) for signals and (K, C/groups, R, S) "
                         f"for images, got {weight_shape} beside x_shape {x_shape}"
                         f"{expressions.filter_sizes(weight_shape, x_shape[0])}")
    plan, _ = of.planned(sizes, weight_shape, stride, padding, dilation, groups, padding_mode, 0.0, algorithm,
                         dtype.itemsize, form == checks.FORMATS[of.axes][1])
    problem = plan.problem
    checks.fits_memory(sizes, dtype, "x")
    checks.fits_memory(weight_shape, dtype, "weight")
    output_shape = of.output_shape(problem)
    checks.fits_memory(output_shape, dtype)
    return ConvExplanation(
        x_shape=checks.result_shape(sizes, form, batched),
        weight_shape=weight_shape,
        output_shape=checks.result_shape(output_shape, form, batched),
        dtype=f"float{8 * dtype.itemsize}",  # its name is something that NumPy imports, which a call at the end cannot
        data_format=form,
        stride=problem.stride[-of.axes:],
        padding=problem.pads[-of.axes:],
        dilation=problem.dilation[-of.axes:],
        groups=problem.groups,
        padding_mode=padding_mode,
        formula=tuple(_formula(*of_axis) for of_axis in zip(
            AXES[of.axes], sizes[2:], weight_shape[2:], problem.stride[-of.axes:], problem.pads[-of.axes:],
            problem.dilation[-of.axes:], output_shape[2:])),
        algorithm=plan.algorithm,
        reason=plan.reason,
        driver=plan.driver.name,
        candidates=plan.considered(),
        flops=problem.flops,
        bytes=problem.bytes,
        workspace=plan.workspace(dtype),
    )


def _formula(axis, size, taps, stride, pads, dilation, outputs):
    """The lecture's OH = (H + 2P - FH) / S + 1 with its numbers;
    dilation, uneven padding and floor only where they act."""
    before, after = pads
    letters = BESIDE[axis]
    padding, padding_filled = ("2P", f"2*{before}") if before == after else (" + ".join(letters), f"{before} + {after}")
    extent, extent_filled = f"F{axis}", f"{taps}"
    if dilation != 1:
        distance = "dilation" if axis == "D" else "D"
        extent, extent_filled = f"{distance} (F{axis} - 1) - 1", f"{dilation} * ({taps} - 1) - 1"
    above, above_filled = f"({axis} + {padding} - {extent})", f"({size} + {padding_filled} - {extent_filled})"
    room = size + before + after - (dilation * (taps - 1) + 1)
    if room % stride == 0:
        return f"O{axis} = {above} / S + 1 = {above_filled} / {stride} + 1 = {outputs}"
    return (f"O{axis} = floor({above} / S) + 1 = floor({above_filled} / {stride}) + 1 "
            f"= floor({room / stride:.12g}) + 1 = {outputs}")


def _candidate(candidate):
    name, nanoseconds, refusal = candidate
    return f"{name}: " + (refusal if nanoseconds is None else f"expected to take {_time(nanoseconds)} on one thread")


def _time(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds / 1e3:.3g} us"


def _sizes(shape):
    return " x ".join(map(str, shape))


def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
