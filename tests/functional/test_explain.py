"""explain: the formula with its numbers, and the same shapes, algorithm and checks as conv2d."""

import json
import time

import cases
import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv._core.runtime import isa


def test_formula_is_the_lectures():
    told = fc.explain((3, 5, 7), (4, 3, 3, 3), padding=1)
    assert told.formula == ("OH = (H + 2P - FH) / S + 1 = (5 + 2*1 - 3) / 1 + 1 = 5",
                            "OW = (W + 2P - FW) / S + 1 = (7 + 2*1 - 3) / 1 + 1 = 7")
    told = fc.explain((3, 224, 225), (64, 3, 7, 7), stride=2, padding=3)
    assert told.formula == ("OH = floor((H + 2P - FH) / S) + 1 = floor((224 + 2*3 - 7) / 2) "
                            "+ 1 = floor(111.5) + 1 = 112",
                            "OW = (W + 2P - FW) / S + 1 = (225 + 2*3 - 7) / 2 + 1 = 113")
    told = fc.explain((3, 9, 9), (4, 3, 3, 2), padding=((1, 2), (0, 1)), dilation=(2, 1))
    assert told.formula == ("OH = (H + PT + PB - D (FH - 1) - 1) / S + 1 = (9 + 1 + 2 - 2 * (3 - 1) - 1) / 1 + 1 = 8",
                            "OW = (W + PL + PR - FW) / S + 1 = (9 + 0 + 1 - 2) / 1 + 1 = 9")


def test_numbers():
    told = fc.explain((2, 6, 8, 10), (4, 3, 3, 3), groups=2, dtype="float64")
    assert told.output_shape == (2, 4, 6, 8)
    assert told.flops == 2 * (2 * 4 * 6 * 8) * (3 * 3 * 3)
    assert told.bytes == 8 * (2 * 6 * 8 * 10 + 4 * 3 * 3 * 3 + 2 * 4 * 6 * 8)
    assert 0 < told.workspace <= (8 << 20) * fc.get_num_threads()
    assert told.padding == ((0, 0), (0, 0)) and told.groups == 2 and told.dtype == "float64"


def test_algorithm_and_reason():
    assert fc.explain((8, 9, 9), (8, 1, 3, 3), groups=8).algorithm == "direct"
    told = fc.explain((64, 56, 56), (64, 64, 3, 3), padding=1)
    assert (told.algorithm, told.driver) == ("winograd", "winograd") and "times as long" in told.reason
    named = fc.explain((8, 9, 9), (8, 1, 3, 3), groups=8, algorithm="gemm")
    assert (named.algorithm, named.driver, named.reason) == ("gemm", "product", "asked for by name")


def test_candidates():
    """The driver that is taken is the one that is expected to be done first; the others say when, or why not."""
    told = fc.explain((4, 64, 28, 28), (64, 64, 3, 3), padding=1)
    expected = {name: nanoseconds for name, nanoseconds, _ in told.candidates if nanoseconds is not None}
    refused = {name: refusal for name, nanoseconds, refusal in told.candidates if nanoseconds is None}
    assert set(expected) == {"direct", "images", "winograd", "product"}
    assert set(refused) == {"few outputs", "rows", "depthwise", "fourier"}
    assert min(expected, key=expected.get) == told.driver and all(refused.values())
    for name, nanoseconds in expected.items():
        assert name in str(told) and 1e5 < nanoseconds < 1e8
    assert refused["depthwise"] in str(told)


def test_text_and_json():
    told = fc.explain((1, 9, 9, 3), (4, 3, 3, 3), data_format="NHWC", padding="same", stride=2)
    text = str(told)
    for part in ("1 x 9 x 9 x 3", "1 x 5 x 5 x 4", told.formula[0], told.formula[1], told.algorithm, f"{told.flops:,}",
                 f"{told.bytes:,}", f"{told.workspace:,}"):
        assert part in text
    assert json.loads(json.dumps(told.to_dict())) == told.to_dict()
    assert told.to_dict()["output_shape"] == [1, 5, 5, 4]


def test_sizes_are_those_of_conv2d():
    for case in cases.random_conv_cases(60, 21):
        x, weight, _, _ = case.arrays(dtype=np.float32)
        x = cases.to_format(x, case.data_format)
        options = {name: value for name, value in case.window().items() if name != "padding_value"}
        told = fc.explain(x.shape, weight.shape, **options, data_format=case.data_format)
        assert told.output_shape == fc.conv2d(x, weight, **options, data_format=case.data_format).shape
        pads = reference.pads(case.padding, case.x_shape[2:], case.weight_shape[2:], reference.pair(case.stride),
                              reference.pair(case.dilation))
        assert told.padding == pads


def test_nothing_is_allocated():
    told = fc.explain((1000, 1000, 10**5, 10**5), (1000, 1000, 3, 3))
    assert told.output_shape == (1000, 1000, 10**5 - 2, 10**5 - 2)
    with pytest.raises(ValueError, match="weight"):
        fc.explain((3, 9, 9), (4, 2, 3, 3))


def test_workspace_of_a_matrix_product_has_a_band_only_where_one_is_filled():
    in_place, with_band = (fc.explain((64, 56, 56), (64, 64, 1, 1), padding=padding, algorithm="gemm").workspace
                           for padding in (0, 1))
    assert 0 < in_place < with_band


@pytest.mark.skipif(isa.vector_bytes() <= 16,
                    reason="vectors of four floats: narrow groups do not share them in the direct sum")
def test_narrow_groups_share_vectors():
    def algorithm(channels, groups, plane, size, stride=1, dtype="float32"):
        return fc.explain((4, channels, plane, plane), (channels, channels // groups, size, size),
                          padding=size // 2, stride=stride, groups=groups, dtype=dtype).algorithm

    assert algorithm(256, 32, 28, 3) == algorithm(256, 32, 112, 3) == algorithm(256, 32, 28, 5) == "winograd"
    assert algorithm(256, 32, 28, 3, stride=2) == algorithm(256, 32, 14, 5, dtype="float64") == "direct"


B = 2**30
ENORMOUS = {
    "row": ((1, 1, 1, 2 * B), (1, 1, 1, B), {}),
    "column": ((1, 1, 2 * B, 1024), (1, 1, B, 3), {}),
    "plane": ((1, 1, B, B), (1, 1, B // 2, B // 2), {}),
    "longest row": ((1, 1, 1, 2**60), (1, 1, 1, 2**59), {}),
    "phases of outputs": ((1, 1, 1, B * 1024), (1, 1, 1, B // 2048), {"dilation": 2**20}),
    "phases of taps": ((1, 1, 1, 2**60 - 5), (1, 1, 1, 2**40), {"stride": 2**15}),
    "channels and filters": ((1, 2**20 - 1, 1024, 1024), (2**20 - 3, 2**20 - 1, 512, 512), {"padding": 256}),
    "groups": ((1, B, 32, 32), (B, 1, 9, 9), {"groups": B}),
}


@pytest.mark.parametrize("algorithm", ["auto", "direct", "gemm", "fft"])
@pytest.mark.parametrize("name", ENORMOUS)
def test_sizes_beyond_all_memory_are_explained_at_once(name, algorithm):
    x_shape, weight_shape, options = ENORMOUS[name]
    for dtype in ("float32", "float64"):
        start = time.process_time()
        try:
            told = fc.explain(x_shape, weight_shape, algorithm=algorithm, dtype=dtype, **options)
        except MemoryError as error:
            assert "more bytes than can be addressed" in str(error)
        else:
            assert 0 < told.workspace <= (8 << 20) * fc.get_num_threads()
        assert time.process_time() - start < 3


def test_more_than_can_be_addressed():
    with pytest.raises(MemoryError, match="x would have shape"):
        fc.explain((1, 1, 2 * B, 2 * B), (1, 1, 2 * B - 1, 2 * B - 1))


@pytest.mark.parametrize("call", [fc.explain, fc.plan_conv2d])
def test_an_array_in_place_of_its_shape(call):
    x, weight = np.zeros((1, 3, 8, 8), np.float32), np.zeros((4, 3, 3, 3), np.float32)
    for array in (x, x[0], x.astype(np.int64)):
        with pytest.raises(TypeError,
                           match=r"x_shape must be a shape such as \(N, C, H, W\), got an array: write x\.shape$"):
            call(array, weight)


def test_an_array_in_place_of_the_shape_of_the_weight():
    match = r"weight_shape must be a shape such as \(K, C/groups, R, S\), got an array: write weight\.shape$"
    with pytest.raises(TypeError, match=match):
        fc.explain((1, 3, 8, 8), np.zeros((4, 3, 3, 3)))
    assert fc.explain(np.array([1, 3, 8, 8]), [4, 3, 3, 3]).output_shape == (1, 4, 6, 6)


@pytest.mark.parametrize("algorithm", ["auto", "direct", "gemm"])
@pytest.mark.parametrize("sizes", [((1, 2048, 16, 16), (2048, 64, 3, 3), 32),
                                   ((5, 768, 5, 7775), (768, 249, 4, 5), 192)])
def test_weights_that_are_not_there_are_not_read(sizes, algorithm):
    """Those of groups, of which the drivers of a data gradient copy parts: up to 1 MB of them."""
    x_shape, weight_shape, groups = sizes
    for stride in (1, 2):
        told = fc.explain(x_shape, weight_shape, groups=groups, stride=stride, transposed=True, algorithm=algorithm)
        assert 0 < told.workspace <= (16 << 20) * fc.get_num_threads()
