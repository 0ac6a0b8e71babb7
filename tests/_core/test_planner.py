"""The planner: what is taken where there can be no doubt, costs that are defined for every problem,
and how a driver is added."""

import math
import types

import numpy as np
import pytest
from processes import in_new_process

import fastconv as fc
from fastconv._core.direct import layout as direct_layout
from fastconv._core.planner import plan as planner
from fastconv._core.planner.constants import CONSTANTS, WEIGHT_GRADIENT_CONSTANTS
from fastconv._core.planner.drivers import DIRECT, FORWARD, IMAGES, PRODUCT, WEIGHT_GRADIENT, WINOGRAD
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution, window_of
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.product import layout as product_layout
from fastconv._core.runtime import isa

# Layers of which one driver is the fastest by far, on any instruction set.
CLEAR = {
    "depthwise": [((4, 64, 56, 56), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
                  ((1, 56, 56, 64), (64, 1, 5, 5), {"groups": 64, "padding": 2, "data_format": "NHWC"})],
    "winograd": [((4, 128, 28, 28), (128, 128, 3, 3), {"padding": 1}),
                 ((1, 64, 56, 56), (64, 64, 5, 5), {"padding": 2}),
                 ((16, 128, 1, 500), (128, 128, 1, 3), {"padding": (0, 1)})],
    "rows": [((100, 1, 1, 500), (284, 1, 1, 9), {"padding": (0, 4)})],
    "direct": [((4, 28, 28, 256), (256, 256, 1, 1), {"data_format": "NHWC"})],
    "images": [((64, 6, 10, 10), (6, 6, 5, 5), {"padding": 4})],
    "product": [((1, 6, 224, 224), (2, 6, 1, 1), {})],
    "fourier": [((1, 1, 512, 512), (1, 1, 63, 63), {"padding": 31}),
                ((8, 8, 128, 128), (8, 8, 31, 31), {"padding": 15})],
}


@pytest.mark.parametrize("name", CLEAR)
def test_what_there_is_no_doubt_about(name):
    for x_shape, weight_shape, options in CLEAR[name]:
        assert fc.explain(x_shape, weight_shape, **options).driver == name, (x_shape, weight_shape)


@pytest.mark.parametrize("name", isa.usable())
def test_on_every_instruction_set(name):
    in_new_process(f"""
        import os
        os.environ["FASTCONV_ISA"] = {name!r}
        import fastconv as fc
        from fastconv._core.runtime import isa
        assert isa.in_use() == {name!r}
        for driver, layers in {CLEAR!r}.items():
            for x_shape, weight_shape, options in layers:
                told = fc.explain(x_shape, weight_shape, **options)
                assert told.driver == driver, (x_shape, weight_shape, told.candidates)
    """)


def problem(x_shape, weight_shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, itemsize=4, last=False,
            mode="constant"):
    outputs = tuple((size + 2 * before - step * (taps - 1) - 1) // by + 1
                    for size, before, step, taps, by in zip(x_shape[2:], padding, dilation, weight_shape[2:], stride))
    return ConvProblem(x_shape, weight_shape, stride, tuple((n, n) for n in padding), dilation, groups, outputs,
                       itemsize, last, mode)


def all_kinds():
    for itemsize in (4, 8):
        yield problem((2, 1, 1, 61), (7, 1, 1, 9), itemsize=itemsize)
        for last in (False, True):
            for groups in (1, 4, 64):
                for c, k in ((1, 1), (3, 64), (64, 3), (4, 4), (500, 7)):
                    for taps in ((1, 1), (3, 3), (5, 5), (1, 3), (1, 7), (11, 11), (31, 2)):
                        for stride in ((1, 1), (2, 2), (3, 1)):
                            for dilation in ((1, 1), (2, 3)):
                                yield problem((2, c * groups, 70, 61), (k * groups, c, *taps), stride, (0, 1), dilation,
                                              groups, itemsize, last)
                    yield problem((2, c * groups, 9, 16), (k * groups, c, 1, 1), groups=groups, itemsize=itemsize,
                                  last=last)
                    yield problem((2, c * groups, 3, 4), (k * groups, c, 5, 4), padding=(1, 0), groups=groups,
                                  itemsize=itemsize, last=last)
                    yield problem((40, c * groups, 6, 7), (k * groups, c, 3, 3), padding=(1, 2), groups=groups,
                                  itemsize=itemsize, last=last)


def test_each_driver_refuses_or_has_a_cost():
    for each in all_kinds():
        for driver in FORWARD:
            if driver.refuses(each) is None:
                assert 0 < driver.cost(each) < 1e12, (driver.name, each)
        assert PRODUCT.refuses(each) is None    # it serves everything
        costs = [driver.cost(each) for driver in WEIGHT_GRADIENT if driver.refuses(each) is None]
        assert costs and all(0 < cost < 1e12 for cost in costs), each


def test_costs_are_counted_from_the_layout_that_a_call_has():
    """What a layout says of a problem without arrays is what the driver takes for C-contiguous ones, to the byte."""
    for each in all_kinds():
        dtype = np.dtype(f"f{each.itemsize}")
        x, y = (parts.unbacked(shape, dtype, each.channels_last) for shape in (each.x_shape, each.output_shape))
        conv = Convolution(x, parts.unbacked(each.weight_shape, dtype), None, y, window_of(each))
        layout, _ = product_layout.laid_out(each)
        assert (PRODUCT.module.workspace(conv, True) == layout["packed_size"]
                + layout["scratch_size"] * each.itemsize), each
        if DIRECT.refuses(each) is None:
            layout, _, _, _ = direct_layout.laid_out(each)
            elements = layout["shared_size"] + layout["scratch_size"]
            assert DIRECT.module.workspace(conv, True) == layout["tables_size"] * 8 + elements * each.itemsize, each
        layout = IMAGES.module.laid_out(each)
        assert IMAGES.module.workspace(conv, True) == (layout["filters_size"] + layout["thread_size"]) * each.itemsize


def test_constants_are_those_of_the_terms():
    """A constant that no term has would be a slip of the pen;
    a term without a constant was measured to cost nothing."""
    for tables in CONSTANTS.values():
        assert set(tables) == {4, 8}
        for itemsize, of_drivers in tables.items():
            assert set(of_drivers) == {driver.name for driver in FORWARD}
            for driver in FORWARD:
                serves = driver.costs.serves if driver is WINOGRAD else driver.refuses
                terms = set().union(*(driver.costs.terms(each, 8, 6) for each in all_kinds()
                                      if each.itemsize == itemsize and serves(each) is None))
                assert set(of_drivers[driver.name]) <= terms, driver.name
                assert all(nanoseconds > 0 for nanoseconds in of_drivers[driver.name].values())
    kinds = [*all_kinds(), *(problem((2, 64, 9, 9), (c, 64, 1, 1), stride, itemsize=size, last=last)
                              for size in (4, 8) for last in (False, True) for c in (3, 32, 640)
                              for stride in ((1, 1), (2, 2)))]
    for name, tables in WEIGHT_GRADIENT_CONSTANTS.items():
        assert set(tables) == ({4} if name == "avx512 of Intel" else {4, 8})
        for itemsize, of_drivers in tables.items():
            for driver in WEIGHT_GRADIENT:
                terms = set().union(*(driver.costs.terms(each, 8, 6) for each in kinds
                                      if each.itemsize == itemsize and driver.refuses(each) is None))
                assert (driver.name in of_drivers) == bool(terms), driver.name
                assert set(of_drivers.get(driver.name, ())) <= terms, driver.name


def test_double_precision_loses_nothing_to_a_transform():
    told = fc.explain((64, 56, 56), (64, 64, 3, 3), padding=1, dtype="float64")
    assert told.driver != "winograd" and {name: why for name, _, why in told.candidates}["winograd"]


def test_a_transform_of_5_x_5_filters_has_to_gain_what_is_computed_again():
    seen = set()
    for images in (1, 64):
        for channels in (2, 3, 6, 16, 64):
            of = problem((images, channels, 14, 14), (16, channels, 5, 5))
            plan = planner.conv2d_plan(of, "auto")
            gradient = {each: each.cost(of) for each in WEIGHT_GRADIENT if each.refuses(of) is None}
            forward = {each.driver: each.nanoseconds for each in plan.candidates if each.refusal is None}
            for taken, expected in ((plan.driver, forward), (plan.weight_gradient_driver, gradient)):
                plain = min(cost for driver, cost in expected.items() if not driver.transforms)
                transform = min(cost for driver, cost in expected.items() if driver.transforms)
                assert taken.transforms == (plain > 1.15 * transform + planner.UNSEEN_NANOSECONDS)
                seen.add(taken.transforms)
            why = ", which is too small a gain for a transform"
            assert (why in plan.reason) == (min(forward.values()) < forward[plan.driver])
    assert seen == {True, False}


def test_the_data_gradient_is_planned_by_its_passes():
    each = problem((4, 64, 57, 57), (128, 64, 3, 3), (2, 2), (1, 1))
    passes = list(each.adjoint())
    assert sum(count for _, count in passes) == 4
    assert sum(count * one.flops for one, count in passes) == pytest.approx(each.flops, rel=0.1)
    for one, _ in passes:
        assert one.weight_shape[:2] == (64, 128) and one.stride == (1, 1) and one.x_shape == (4, 128, 29, 29)
    # 256 phases of 16 x 16 patches are few kinds of passes
    assert sum(count for _, count in problem((1, 3, 224, 224), (96, 3, 16, 16), (16, 16)).adjoint()) == 256
    assert len(list(problem((1, 3, 224, 224), (96, 3, 16, 16), (16, 16)).adjoint())) == 1


def test_a_driver_is_one_entry(monkeypatch):
    """Another driver in the list is chosen where it says that it is faster, and asked for by its algorithm's name."""
    calls = []
    module = types.SimpleNamespace(conv2d=lambda conv: calls.append(conv) or DIRECT.module.conv2d(conv),
                                   workspace=DIRECT.module.workspace)
    costs = types.SimpleNamespace(refuses=lambda problem: None if problem.taps == (3, 3) else "not 3 x 3",
                                  terms=lambda *_: {"call": 1})
    toy = DIRECT._replace(name="toy", module=module, costs=costs, prepares=False)
    monkeypatch.setattr(planner, "FORWARD", (*FORWARD, toy))
    for tables in CONSTANTS.values():
        for table in tables.values():
            monkeypatch.setitem(table, "toy", {"call": 1.0})
    plan = planner.conv2d_plan.__wrapped__(problem((1, 8, 20, 20), (8, 8, 3, 3)), "auto")
    assert plan.driver is toy and plan.workspace(np.dtype("f4")) > 0 and plan.prepare(np.ones((8, 8, 3, 3), "f4")) == ()
    other = planner.conv2d_plan.__wrapped__(problem((1, 8, 20, 20), (8, 8, 2, 3)), "auto")
    assert other.driver is not toy and other.candidates[-1].refusal == "not 3 x 3"


def test_costs_of_enormous_problems_are_found_at_once():
    for x_shape, weight_shape in (((1, 1, 2**40, 2**40), (1, 1, 2**39, 3)),
                                  ((2**40, 2**20, 3, 3), (2**20, 2**20, 3, 3))):
        each = problem(x_shape, weight_shape)
        for driver in FORWARD:
            if driver.refuses(each) is None:
                assert math.isfinite(driver.cost(each))
        for driver in WEIGHT_GRADIENT:
            assert driver.refuses(each) is not None or math.isfinite(driver.cost(each))


@pytest.mark.parametrize(("algorithm", "step"),
                         [("auto", 2**30), ("gemm", 2**30), ("auto", 2**30 - 1), ("direct", 2**30 - 1)])
def test_steps_whose_product_is_no_number_of_64_bits(algorithm, step):
    """Padding of a step on each side: of the three outputs along each axis that in the middle meets the pixel."""
    in_new_process(f"""
        import numpy as np, fastconv as fc
        x, weight = np.full((1, 3, 1, 1), 2, np.float32), np.ones((4, 3, 1, 1), np.float32)
        for data_format in ("NCHW", "NHWC"):
            image = x if data_format == "NCHW" else x.transpose(0, 2, 3, 1)
            y = fc.conv2d(image, weight, stride={step}, padding={step}, data_format=data_format,
                          algorithm={algorithm!r})
            y = y if data_format == "NCHW" else y.transpose(0, 3, 1, 2)
            assert y.shape == (1, 4, 3, 3) and (y[0, :, 1, 1] == 6).all() and y.sum() == 24
    """)


@pytest.mark.parametrize("size", [3, 4, 5, 6, 8])
def test_examples_by_hand_are_exact(size):
    """Whole numbers on a small image: no transform, which would be faster by a fraction of a microsecond."""
    x = np.arange(size * size, dtype=np.float32).reshape(1, 1, size, size)
    for weight in (np.ones((1, 1, 3, 3), np.float32), np.float32([[[[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]])):
        for padding in (0, 1):
            np.testing.assert_array_equal(fc.conv2d(x, weight, padding=padding),
                                          fc.conv2d(x.astype(np.float64), weight.astype(np.float64), padding=padding))
