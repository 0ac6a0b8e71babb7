"""The sum with filters in the lanes on planes that are read as they are: few channels, with and without padding,
any layout and strides."""

import itertools
from pathlib import Path

import cases
import numpy as np
import pytest
import reference
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

CASES = {
    "gray": cases.ConvCase((3, 1, 28, 14), (16, 1, 7, 7), stride=2),
    "gray_padded": cases.ConvCase((2, 1, 17, 19), (33, 1, 5, 5), padding=2),
    "patches": cases.ConvCase((2, 3, 33, 35), (20, 3, 8, 8), stride=8),
    "wide_patches": cases.ConvCase((2, 3, 20, 60), (5, 3, 3, 19), stride=(3, 19)),
    "stem": cases.ConvCase((1, 3, 30, 31), (17, 3, 7, 7), stride=2, padding=3),
    "cropped": cases.ConvCase((1, 3, 30, 33), (9, 3, 3, 6), stride=(4, 3)),
    "many_channels": cases.ConvCase((2, 9, 12, 13), (18, 9, 4, 3)),
    "dilated_rows": cases.ConvCase((2, 2, 20, 15), (6, 2, 3, 9), dilation=(3, 1)),
    "reflected": cases.ConvCase((2, 2, 20, 15), (6, 2, 3, 9), padding=(2, 4), padding_mode="reflect"),
    "padding_value": cases.ConvCase((2, 3, 9, 15), (6, 3, 7, 7), padding=3, padding_value=1.5),
    "groups": cases.ConvCase((2, 6, 14, 15), (20, 3, 5, 6), groups=2),
    "blocks_of_rows": cases.ConvCase((1, 3, 90, 120), (4, 3, 3, 3)),
    "long_rows": cases.ConvCase((1, 2, 5, 5000), (3, 2, 3, 3)),
}


def direct(case, x, weight, bias, **options):
    y = fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **case.window(), data_format=case.data_format,
                  algorithm="direct", **options)
    return cases.to_nchw(y, case.data_format)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_as_the_loops(name, dtype):
    for data_format, threads in itertools.product(("NCHW", "NHWC"), (1, 2, 3)):
        case = CASES[name]._replace(data_format=data_format)
        x, weight, bias, _ = case.arrays(dtype=dtype, integers=True)
        with fc.num_threads(threads):
            np.testing.assert_array_equal(direct(case, x, weight, bias),
                                          reference.conv2d(x, weight, bias, **case.window()))


@pytest.mark.parametrize("name", CASES)
def test_bits_do_not_depend_on_threads_or_plans(name):
    case = CASES[name]
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    options = {**case.window(), "algorithm": "direct"}
    wanted = direct(case, x, weight, bias)
    plan = fc.plan_conv2d(x.shape, weight, bias, **options)
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(direct(case, x, weight, bias), wanted)
            np.testing.assert_array_equal(plan(x), wanted)


@pytest.mark.parametrize("name", ["gray", "patches", "stem", "groups"])
def test_arrays_that_lie_otherwise(name):
    """Packed filters are of no use for them; filters of any strides are copied one by one."""
    case = CASES[name]
    x, weight, bias, _ = case.arrays(dtype=np.float32, integers=True)
    wanted = reference.conv2d(x, weight, bias, **case.window())
    plan = fc.plan_conv2d(x.shape, weight, bias, **case.window(), algorithm="direct")
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for view in (last, x[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1], np.repeat(x, 2, axis=3)[..., ::2],
                 np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(plan(view), wanted)
        np.testing.assert_array_equal(direct(case, view, weight, bias), wanted)
    hwio = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(direct(case, x, hwio, bias, activation="relu"), np.maximum(wanted, 0))


@pytest.mark.parametrize("name", isa.usable())
def test_on_every_instruction_set(name):
    in_new_process(f"""
        import os
        os.environ["FASTCONV_ISA"] = {name!r}
        import sys
        sys.path[:0] = {[str(Path(__file__).parent), str(Path(reference.__file__).parent)]!r}
        import numpy as np, reference, test_direct_planes as here
        for case in here.CASES.values():
            x, weight, bias, _ = case.arrays(dtype=np.float32, integers=True)
            np.testing.assert_array_equal(here.direct(case, x, weight, bias),
                                          reference.conv2d(x, weight, bias, **case.window()))
    """)
