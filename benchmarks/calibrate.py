"""The planner's constants: how many nanoseconds each thing takes that a driver's loops do, fitted to measured layers.

    python -m benchmarks.calibrate [--layers 900] [--seed 0] [--dtype float32] [--times FILE ...]
                                   [--of forward|weight-gradient|data-gradient] [--kinds KIND ...] [--check]

Draws layers at random, times every driver that can compute each of them, on one thread and in turn, and fits the
constants of the instruction set in use (`FASTCONV_ISA` chooses another one). Prints the entry of a table of
fastconv/_core/planner/constants.py, and how well the planner would have chosen with it: the regret is the time of the
driver that it would take, divided by that of the fastest. Drivers of the data gradient are built on those of the
forward pass, whose constants have to be right before.
`--times` keeps the times in a file, or fits to those of earlier runs where the files are there. With `--check` nothing
is fitted: it prints the regret with the constants that there are. SciPy is needed, but for that.

Times are minima by the clock on the wall (a thread's own clock stands still for a call now and then on some virtual
machines), so the machine has to be quiet. Others on it have part of the caches and of the memory's speed, which slows
all drivers alike, as they take turns call by call: each layer has a
factor of its own, near 1. Wrong by a tenth matters where drivers are close, not where one is
far behind: such times hardly count. What the constants are for is a choice, which only the drivers' times relative to
each other decide: so they are changed by small factors, one after the other, as long as the expected regret falls.
"""

import argparse
import functools
import json
import math
import pprint
import random
import time
from pathlib import Path

import numpy as np

import fastconv as fc
from fastconv._core.planner.constants import CONSTANTS, DATA_GRADIENT_CONSTANTS, WEIGHT_GRADIENT_CONSTANTS
from fastconv._core.planner.drivers import DATA_GRADIENT, FORWARD, WEIGHT_GRADIENT, WINOGRAD, constants_of
from fastconv._core.planner.plan import choice
from fastconv._core.problem.convolution import Convolution, window_of
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.simpler import simpler
from fastconv._core.runtime import isa

CHANNELS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
PLANES = (3, 4, 5, 7, 8, 10, 13, 14, 16, 20, 27, 28, 32, 40, 56, 64, 80, 100, 112, 128, 160, 224, 256)
KINDS = ("3 x 3", "3 x 3", "3 x 3", "stride 2", "stride 2", "pointwise", "pointwise", "pointwise stride 2",
         "first", "first", "patches", "depthwise", "depthwise", "groups", "dilated", "5 x 5", "line", "other", "large",
         "signal", "whole image", "few outputs", "few filters")
LENGTHS = (61, 100, 250, 500, 1000, 2000, 4000, 16000)
LEAST_FLOPS, MOST_FLOPS, MOST_PIXELS = 2e5, 2.5e9, 1.6e7
DRIVERS = {"forward": (FORWARD, CONSTANTS), "weight-gradient": (WEIGHT_GRADIENT, WEIGHT_GRADIENT_CONSTANTS),
           "data-gradient": (DATA_GRADIENT, DATA_GRADIENT_CONSTANTS)}
BEHIND = 4.5       # times as long as the fastest: does not count
FEWEST_ROUNDS, SECONDS, TURN = 5, 0.03, 3e-4    # of a driver: turns, what they take together, and one of them at least
SHARPNESS = 12     # of the choice that stands for the planner's while constants are changed: costs to that power
FACTORS, SWEEPS, NEARNESS = (0.7, 0.87, 1.15, 1.4), 8, 0.002


def draw(rng, itemsize, kinds=KINDS):
    """A random layer, as a ConvProblem, of sizes as in published networks and around them;
    or None for one too large or small."""
    kind = rng.choice(kinds)
    images, h = rng.choice((1, 1, 2, 4, 8, 32, 64)), rng.choice(PLANES)
    w = h if rng.random() < 0.7 else max(3, rng.choice((h + 1, h + 3, h // 2, 2 * h)))
    c = rng.choice(CHANNELS[4:])
    k = CHANNELS[min(len(CHANNELS) - 1, max(0, CHANNELS.index(c) + rng.randint(-3, 3)))]
    r = s = 3
    stride = dilation = groups = 1
    padding = None
    if kind == "stride 2":
        stride = 2
    elif kind.startswith("pointwise"):
        r = s = 1
        stride = 2 if kind.endswith("2") else 1
    elif kind == "first":
        c, k = rng.choice((1, 2, 3, 3, 4)), rng.choice((4, 6, 8, 16, 32, 64, 96))
        r = s = rng.choice((3, 3, 5, 7, 11))
        stride = rng.choice((1, 2, 2, 4 if r == 11 else 1))
    elif kind == "patches":
        r = s = stride = rng.choice((2, 2, 3, 4, 8, 16))
        c, k, padding = rng.choice((3, 48, 96, 192) if r < 4 else (1, 3, 3)), rng.choice((16, 64, 96, 192, 384, 768)), 0
    elif kind == "depthwise":
        k = groups = c
        r = s = rng.choice((3, 3, 5, 7, 9))
        stride = rng.choice((1, 1, 2))
    elif kind == "groups":
        groups = rng.choice((2, 4, 8, 16, 32))
        c = k = max(c // groups, 2) * groups
        stride = rng.choice((1, 1, 2))
    elif kind == "dilated":
        dilation = rng.choice((2, 2, 3, 4, 6, 12))
    elif kind == "5 x 5":
        r = s = rng.choice((5, 5, 5, 7, 9))
        stride = rng.choice((1, 1, 2))
    elif kind == "line":
        r, s = rng.choice(((1, 3), (3, 1), (1, 7), (7, 1), (1, 5)))
    elif kind == "other":
        r, s = rng.choice(((2, 2), (4, 4), (3, 5), (2, 3)))
        stride = rng.choice((1, 2, 3))
    elif kind == "large":
        r = s = rng.choice((7, 9, 11, 13, 15, 21, 31))
        c = rng.choice((1, 1, 3, 8, 16, 32, 64))
        k = rng.choice((1, 3, 8, 16, 32, 64))
        if rng.random() < 0.4:
            k = groups = c
        images = rng.choice((1, 1, 4))
    elif kind == "signal":
        h, w, images = 1, rng.choice(LENGTHS), rng.choice((1, 4, 32, 100))
        r, s = 1, rng.choice((2, 3, 5, 7, 9, 11, 80))
        dilation = rng.choice((1, 1, 1, 2, 4, 16))
        if rng.random() < 0.4:
            c, k = 1, rng.choice((8, 32, 84, 284))
    elif kind == "whole image":
        h = w = r = s = rng.choice((3, 4, 5, 6, 7, 8, 13))
        images, padding = rng.choice((1, 1, 2, 4)), (0, 0)
    elif kind == "few outputs":
        h = w = rng.choice((2, 3, 4, 5, 6, 8, 10))
        r = s = rng.choice((1, 2, 3, 3, 5))
        stride, images = rng.choice((1, 2, 2, 3)), rng.choice((1, 1, 2, 4))
    elif kind == "few filters":
        k, r = rng.choice((1, 1, 2, 3, 4, 6)), rng.choice((1, 3, 3, 3, 5, 7))
        s = r
    if rng.random() < 0.3 and kind != "whole image":    # sizes that nobody chose
        h, w = (n if size == 1 else max(n, int(size * rng.uniform(0.7, 1.4))) for n, size in ((r, h), (s, w)))
        if groups == 1 and kind not in ("large", "few filters"):
            c, k = (max(1, int(n * rng.uniform(0.6, 1.5))) for n in (c, k))
    padding = (dilation * (r // 2), dilation * (s // 2)) if padding is None and rng.random() < 0.85 else (0, 0)
    outputs = tuple((pixels + 2 * before - dilation * (taps - 1) - 1) // stride + 1
                    for pixels, before, taps in zip((h, w), padding, (r, s)))
    if min(outputs) < 1 or max(images * c * h * w, images * k * math.prod(outputs)) > MOST_PIXELS:
        return None
    problem = ConvProblem((images, c, h, w), (k, c // groups, r, s), (stride, stride), tuple((n, n) for n in padding),
                          (dilation, dilation), groups, outputs, itemsize, rng.random() < 0.3, "constant")
    if not LEAST_FLOPS < problem.flops < MOST_FLOPS:
        return None
    simple = simpler(problem)
    return problem if simple is None else simple.problem


def convolution(problem):
    """Arrays of ones and the like for a problem."""
    dtype = np.dtype(f"f{problem.itemsize}")
    rng = np.random.default_rng(1)

    def array(shape):
        if problem.channels_last:
            n, c, h, w = shape
            return rng.standard_normal((n, h, w, c)).astype(dtype).transpose(0, 3, 1, 2)
        return rng.standard_normal(shape).astype(dtype)

    weight = rng.standard_normal(problem.weight_shape).astype(dtype)
    bias = rng.standard_normal(len(weight)).astype(dtype)
    return Convolution(array(problem.x_shape), weight, bias, array(problem.output_shape), window_of(problem))


def computes(driver, problem):
    """Whether the planner may take it, or who asks for it by name."""
    return (driver.costs.serves(problem) if driver is WINOGRAD else driver.refuses(problem)) is None


def call_of(driver, problem, conv):
    """What is timed: a call without arguments. A transform is timed whatever it thinks of the contrast of the data."""
    if driver in DATA_GRADIENT:
        return functools.partial(driver.lay_out(problem), conv.y, conv.w, conv.x)
    return functools.partial(driver.conv2d_weight_gradient if driver in WEIGHT_GRADIENT else driver.as_named, conv)


def times_of(problem, drivers):
    """Nanoseconds of each driver: minima of rounds in which they take turns."""
    conv = convolution(problem)
    calls = {driver.name: call_of(driver, problem, conv) for driver in drivers if computes(driver, problem)}
    best = {}
    for name, call in calls.items():
        call()
        best[name] = math.inf
        for _ in range(3):
            before = time.perf_counter_ns()
            call()
            best[name] = min(best[name], time.perf_counter_ns() - before)
    near = [name for name in calls if best[name] < 6 * min(best.values())]
    rounds, stop = 0, time.perf_counter() + SECONDS * len(near)
    while rounds < FEWEST_ROUNDS or time.perf_counter() < stop:
        for name in near:
            for _ in range(max(1, int(TURN * 1e9 / best[name]))):
                before = time.perf_counter_ns()
                calls[name]()
                best[name] = min(best[name], time.perf_counter_ns() - before)
        rounds += 1
    return best


def measure(drivers, layers, seed, draw_one):
    rng, measured = random.Random(seed), []
    with fc.num_threads(1):
        while len(measured) < layers:
            problem = draw_one(rng)
            if problem is not None:
                measured.append((problem, times_of(problem, drivers)))
    return measured


def terms_of(driver, problem):
    """How often its loops do what takes time."""
    if driver in DATA_GRADIENT:
        return driver.terms(problem)
    return driver.costs.terms(problem, *isa.tile(problem.itemsize))


def fit(drivers, measured, itemsize):
    """{driver: {term: nanoseconds}}; drivers of the data gradient share one table, which is changed from what it is."""
    terms = [{driver.name: terms_of(driver, problem) for driver in drivers if driver.name in times}
             for problem, times in measured]
    if drivers is DATA_GRADIENT:
        constants = known(drivers, itemsize)
    else:
        constants = least_squares(drivers, measured, terms)
    return refined(drivers, measured, constants, terms)


def known(drivers, itemsize):
    """The constants that there are, in the form of `fit`."""
    table, = (table for of, table in DRIVERS.values() if of is drivers)
    of_drivers = constants_of(table, itemsize)
    if drivers is DATA_GRADIENT:
        return dict.fromkeys((driver.name for driver in drivers), dict(of_drivers))
    return of_drivers


def least_squares(drivers, measured, terms):
    """Constants of which none is below 0, with the least squares of relative errors."""
    from scipy.optimize import nnls

    factors, constants = np.ones(len(measured)), {}
    for _ in range(8):
        for driver in drivers:
            rows = [i for i, (_, times) in enumerate(measured) if driver.name in times]
            names = sorted({name for i in rows for name in terms[i][driver.name]})
            if not rows:
                continue
            ratios = np.array([measured[i][1][driver.name] / min(measured[i][1].values()) for i in rows])
            near = ratios < BEHIND
            spent = np.array([min(measured[i][1][driver.name], BEHIND * min(measured[i][1].values())) for i in rows])
            a = np.array([[terms[i][driver.name].get(name, 0) * factors[i] for name in names] for i in rows])
            a /= spent[:, None]
            closeness = np.minimum(ratios, BEHIND) ** -1.5
            scale = a.max(axis=0)
            scale[scale == 0] = 1
            weights = np.where(near, closeness, 0)
            for _ in range(5):
                x, _ = nnls(a / scale * weights[:, None], weights, maxiter=20000)
                errors = a / scale @ x - 1
                # Large errors count less: they are another model's, or another program's.
                # Who is far behind need only be seen to be.
                weights = np.where(near | (errors < 0), closeness, 0) / np.sqrt(np.maximum(0.05, abs(errors)))
            constants[driver.name] = {name: float(f"{value:.3g}") for name, value in zip(names, x / scale) if value > 0}
        for i, (_, times) in enumerate(measured):
            logs = [(math.log(times[name] / predicted), (min(times.values()) / times[name]) ** 2) for name in times
                    if times[name] < BEHIND * min(times.values())
                    and (predicted := expected(constants[name], terms[i][name])) > 0]
            weight = sum(closeness for _, closeness in logs)
            factors[i] = np.clip(math.exp(sum(log * closeness for log, closeness in logs) / (weight + 1)), 0.75, 2.6)
    return constants


def refined(drivers, measured, constants, terms):
    """The constants, each changed by small factors where that lessens the expected regret of the planner's choices."""
    names = [driver.name for driver in drivers if driver.name in constants]
    all_times = [times for _, times in measured]
    costs = np.array([[max(1.0, expected(constants[name], of_layer[name])) if name in times else np.inf
                       for name in names]
                      for of_layer, times in zip(terms, all_times)])
    lost = np.array([[math.log(min(BEHIND, times.get(name, math.inf) / min(times.values()))) for name in names]
                     for times in all_times])

    def regret(costs):
        likely = (costs.min(axis=1, keepdims=True) / costs) ** SHARPNESS
        return ((likely * lost).sum(axis=1) / likely.sum(axis=1)).mean()

    tables = {id(table): table for table in constants.values()}
    counts = {(key, term): np.array([[of_layer.get(name, {}).get(term, 0) if constants[name] is table else 0
                                      for name in names] for of_layer in terms])
              for key, table in tables.items() for term in table}
    fitted = {key: dict(table) for key, table in tables.items()}
    least = regret(costs)
    for _ in range(SWEEPS):
        for (key, term), count in counts.items():
            for factor in FACTORS:
                before = tables[key][term]
                value = float(f"{before * factor:.3g}")
                changed = costs + count * (value - before)
                far, was = (math.log(each / fitted[key][term]) ** 2 for each in (value, before))
                if changed.min() > 0 and regret(changed) + NEARNESS * (far - was) < least:
                    tables[key][term], costs, least = value, changed, regret(changed)
    return constants


def expected(constants, terms):
    return sum(constants.get(name, 0) * count for name, count in terms.items())


def regrets(drivers, measured, constants):
    """For each layer the time of the driver that the planner would take, divided by the least, and these drivers."""
    found = []
    for problem, times in measured:
        allowed = [driver for driver in drivers if driver.name in times and driver.refuses(problem) is None]
        costs = [(driver, expected(constants[driver.name], terms_of(driver, problem))) for driver in allowed]
        taken = min(costs, key=lambda each: each[1])[0] if drivers is DATA_GRADIENT else choice(problem, costs)
        best = min(allowed, key=lambda driver: times[driver.name])
        found.append((times[taken.name] / times[best.name], taken.name, best.name, problem))
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--times", type=Path, nargs="*", default=(), help="JSON files, or one that is made")
    parser.add_argument("--kinds", choices=sorted(set(KINDS)), nargs="+", default=KINDS, help="of layers")
    parser.add_argument("--worst", type=int, default=10, help="layers to be listed")
    parser.add_argument("--of", choices=DRIVERS, default="forward", help="what the drivers compute")
    parser.add_argument("--check", action="store_true", help="the regret with the constants that there are")
    options = parser.parse_args(argv)
    drivers, _ = DRIVERS[options.of]
    itemsize = np.dtype(options.dtype).itemsize
    if any(times.exists() for times in options.times):
        measured = [(ConvProblem(**{name: _tuples(value) for name, value in problem.items()}), times)
                    for file in options.times for problem, times in json.loads(file.read_text())]
    else:
        measured = measure(drivers, options.layers, options.seed,
                           functools.partial(draw, itemsize=itemsize, kinds=options.kinds))
        for file in options.times:
            file.write_text(json.dumps([(problem._asdict(), times) for problem, times in measured]))
    constants = known(drivers, itemsize) if options.check else fit(drivers, measured, itemsize)
    found = sorted(regrets(drivers, measured, constants), key=lambda each: -each[0])
    ratios = np.array([each[0] for each in found])
    print(f"# {isa.costs()[0]}, {options.dtype}: {len(found)} layers, regret {np.exp(np.log(ratios).mean()):.3f} in "
          f"the geometric mean, above 1.1 in {(ratios > 1.1).mean():.1%}, at most {ratios.max():.2f}")
    for ratio, taken, best, problem in found[:options.worst]:
        print(f"#   {ratio:.2f} {taken} for {best}: {problem.x_shape} {problem.weight_shape} stride {problem.stride[0]}"
              f" dilation {problem.dilation[0]} "
              f"groups {problem.groups}{' channels last' if problem.channels_last else ''}")
    if not options.check:
        if drivers is DATA_GRADIENT:
            constants = constants[drivers[0].name]
        pprint.pprint(constants, width=120, sort_dicts=False)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
