"""``fastconv explain``: what a convolution of given shapes does, see `fastconv.explain`."""

from __future__ import annotations

from argparse import Namespace

from fastconv.cli.arguments import Parser, UsageError, choice, integer, sizes
from fastconv.cli.output import Result
from fastconv.functional import checks, explain

_AXES = (1, 2, 3)  # one number for all axes, or one for each of up to three


def add_options(parser: Parser) -> None:
    def option(name: str, **settings: object) -> None:
        parser.option("convolution", name, **settings)

    option("--input", type=sizes((2, 3, 4, 5), "channels x rows x columns, such as 3x224x224, or with the images of a "
                                               "batch before it, such as 64x3x224x224; of signals such as 64x16000, of "
                                               "volumes such as 3x16x112x112"),
           metavar="CxHxW", help="shape of the input (needed): CxHxW, or NxCxHxW for a batch; CxL, CxDxHxW")
    option("--weight", type=sizes((3, 4, 5), "filters x channels/groups x rows x columns, such as 64x3x7x7; of signals "
                                             "such as 128x64x3, of volumes such as 64x3x3x7x7"),
           metavar="KxCxRxS", help="shape of the filters (needed), whose number of axes says what is convolved: "
                                   "KxCxS signals, KxCxRxS images, KxCxTxRxS volumes; CxKx... with --transposed")
    option("--stride", type=sizes(_AXES, "a whole number of at least 1, or one for each axis, such as 2 or 2x1"),
           default=1, metavar="S", help="step of the filter, S or SHxSW (default %(default)s)")
    option("--padding", type=sizes(_AXES, "a whole number of at least 0, or one for each axis, such as 3 or 3x1, or "
                                          "same or valid", 0, ("same", "valid")), default=0, metavar="P",
           help="rows and columns added on each side, P or PHxPW, or same, or valid (default %(default)s); "
                "of a signal also BEFORExAFTER")
    option("--dilation", type=sizes(_AXES, "a whole number of at least 1, or one for each axis, such as 2 or 2x1"),
           default=1, metavar="D", help="distance of the filter's taps, D or DHxDW (default %(default)s)")
    option("--transposed", action="store_true", help="a transposed convolution")
    option("--output-padding", default=0, metavar="P",
           type=sizes(_AXES, "a whole number of at least 0, or one for each axis, such as 1 or 1x0", 0),
           help="of a transposed one: what is added at the end of its result (default %(default)s)")
    option("--output-size", type=sizes(_AXES, "a whole number of at least 1, or one for each axis, such as 64x64"),
           metavar="N", help="of a transposed one: the size of its result, N or OHxOW")
    option("--groups", type=integer(1), default=1, metavar="G", help="groups of channels (default %(default)s)")
    option("--padding-mode", type=choice(*checks.PADDING_MODES), default="constant", metavar="MODE",
           help=f"what is padded with: {', '.join(checks.PADDING_MODES)} (default %(default)s)")
    option("--data-format", type=choice(*(name for of_axes in checks.FORMATS.values() for name in of_axes)),
           metavar="FORMAT", help="order of the input's axes: NCHW (default), or NHWC (then --input is HxWxC or "
                                  "NxHxWxC); NCL or NLC, NCDHW or NDHWC")
    option("--dtype", type=choice("float32", "float64"), default="float32", metavar="TYPE",
           help="float32 (default) or float64")
    option("--algorithm", type=choice("auto", "direct", "gemm", "winograd", "fft"), default="auto", metavar="NAME",
           help="auto (default), or one by name: direct, gemm, winograd, fft")


def run(options: Namespace) -> Result:
    for name, example in (("input", "3x224x224"), ("weight", "64x3x7x7")):
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing: a shape such as {example}")
    try:
        explanation = explain(
            options.input, options.weight, stride=options.stride, padding=options.padding, dilation=options.dilation,
            groups=options.groups, padding_mode=options.padding_mode, data_format=options.data_format,
            dtype=options.dtype, algorithm=options.algorithm, transposed=options.transposed,
            output_padding=options.output_padding, output_size=options.output_size,
        )  # fmt: skip
    except (MemoryError, TypeError, ValueError) as error:  # nothing but the arguments goes into it
        raise UsageError(str(error)) from error
    return Result(explanation.to_dict(), str(explanation))
