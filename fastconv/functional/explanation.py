"""What a convolution of given shapes will do: output size by the formula, algorithm, operations, bytes, workspace."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.functional import checks
from fastconv.functional.conv import planned
from fastconv.functional.transposed_explanation import explained
from fastconv.functional.typing import Algorithm, DataFormat, FloatDType, Padding, PaddingMode, Pair


class ConvExplanation(NamedTuple):
    """What `explain` returns: print it, read its attributes, or take `to_dict()` for JSON.

    Attributes
    ----------
    x_shape, weight_shape, output_shape : tuple of int
        As given and as returned, in `data_format`.
    dtype, data_format, padding_mode : str
    stride, dilation : (int, int)
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
        For each driver its expected time in nanoseconds on one thread, or the reason why it is not taken.
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
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int
    padding_mode: str
    formula: tuple[str, str]
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
            ("", self.formula[0]),
            ("", self.formula[1]),
            ("algorithm", f"{self.algorithm} ({self.reason})"),
            *(("" if row else "candidates", text) for row, text in enumerate(map(_candidate, self.candidates))),
            ("FLOPs", f"{self.flops:,} (2 for each multiplication with its addition)"),
            ("bytes",
             f"{self.bytes:,} (input, weights and output once each), {self.flops / self.bytes:.1f} FLOPs a byte"),
            ("workspace", f"{self.workspace:,} bytes besides the output"),
        ]
        return "\n".join(f"{name:<10} {text}" for name, text in rows)


def explain(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: Pair = 1, padding: Padding = 0,
            dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
            data_format: DataFormat = "NCHW", dtype: FloatDType = "float32", algorithm: Algorithm = "auto",
            transposed: bool = False, output_padding: Pair = 0, output_size: Pair | None = None) -> ConvExplanation:
    """Explain what `conv2d`, or `conv_transpose2d`, does with inputs of these shapes, without computing it.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, H, W) or (C, H, W); with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C).
    weight_shape : tuple of int
        (K, C/groups, R, S); with ``transposed=True`` (C, K/groups, R, S).
    stride, padding, dilation, groups, padding_mode, data_format, algorithm
        As in `conv2d`.
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
    weight_shape = checks.integers(weight_shape, "weight_shape", 1)
    dtype = checks.float_dtype(dtype, "dtype")
    if checks.flag(transposed, "transposed"):
        if checks.choice(padding_mode, "padding_mode", checks.PADDING_MODES) != "constant":
            raise ValueError(f"padding_mode must be 'constant' with transposed=True, got {padding_mode!r}")
        found = explained(x_shape, weight_shape, dtype, data_format, algorithm,
                          (stride, padding, output_padding, output_size, dilation, groups))
        return ConvExplanation(dtype=f"float{8 * dtype.itemsize}", data_format=data_format, padding_mode=padding_mode,
                               **found)
    if output_size is not None:
        raise ValueError("output_size must be left out without transposed=True: the convolution has one size")
    if any(checks.pair(output_padding, "output_padding", 0)):
        raise ValueError("output_padding must be left at 0 without transposed=True: the convolution has one size")
    sizes, batched = checks.image_shape(x_shape, data_format, "x_shape")
    plan, _ = planned(sizes, weight_shape, stride, padding, dilation, groups, padding_mode, 0.0, algorithm,
                      dtype.itemsize, data_format == "NHWC")
    problem = plan.problem
    checks.fits_memory(sizes, dtype, "x")
    checks.fits_memory(weight_shape, dtype, "weight")
    checks.fits_memory(problem.output_shape, dtype)
    return ConvExplanation(
        x_shape=checks.result_shape(sizes, data_format, batched),
        weight_shape=weight_shape,
        output_shape=checks.result_shape(problem.output_shape, data_format, batched),
        dtype=f"float{8 * dtype.itemsize}",  # its name is something that NumPy imports, which a call at the end cannot
        data_format=data_format,
        stride=problem.stride,
        padding=problem.pads,
        dilation=problem.dilation,
        groups=problem.groups,
        padding_mode=padding_mode,
        formula=tuple(_formula(*of_axis) for of_axis in zip(
            "HW", sizes[2:], weight_shape[2:], problem.stride, problem.pads, problem.dilation, problem.output_size)),
        algorithm=plan.algorithm,
        reason=plan.reason,
        driver=plan.driver.name,
        candidates=tuple((each.driver.name, each.nanoseconds, each.refusal) for each in plan.candidates),
        flops=problem.flops,
        bytes=problem.bytes,
        workspace=plan.workspace(dtype),
    )


def _formula(axis, size, taps, stride, pads, dilation, outputs):
    """The lecture's OH = (H + 2P - FH) / S + 1 with its numbers;
    dilation, uneven padding and floor only where they act."""
    before, after = pads
    letters = ("PT", "PB") if axis == "H" else ("PL", "PR")
    padding, padding_filled = ("2P", f"2*{before}") if before == after else (" + ".join(letters), f"{before} + {after}")
    extent, extent_filled = f"F{axis}", f"{taps}"
    if dilation != 1:
        extent, extent_filled = f"D (F{axis} - 1) - 1", f"{dilation} * ({taps} - 1) - 1"
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
