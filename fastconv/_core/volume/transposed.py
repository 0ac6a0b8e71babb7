"""The plan of a transposed convolution of volumes, the data gradient of the one that leads back from its result.

Where planes that different taps along the depth add to are apart, it is one transposed convolution of images for each
of these taps, the planes of an item being the images; else, or where that is expected to be done first, one
convolution for each triple of phases (plan.py).
"""

import functools
import math

from fastconv._core.planner.transposed import transposed_plan, unavailable as of_images
from fastconv._core.problem.convolution import PLAIN
from fastconv._core.problem.finish import lay_ground
from fastconv._core.volume.flat import flat
from fastconv._core.volume.geometry import passes_inside
from fastconv._core.volume.plan import VolumeDataGradient, conv3d_plan, unavailable as of_volumes

MOST_ASKED = 64             # passes that are looked at for what they are expected to take
CALL_NANOSECONDS = 6000.0   # that views and the door of a driver take


class TransposedVolumes:
    """How one transposed convolution is computed; as TransposedPlan. problem: that of the convolution that leads
    back."""

    def __init__(self, problem, algorithm):
        self.problem, self.asked = problem, algorithm
        self.by_planes = None
        ways = {}
        if not problem.is_empty:
            if len(_passes(problem)) <= MOST_ASKED and _unavailable_by_phases(algorithm, problem) is None:
                ways["phases"] = sum(_expected(each.problem, algorithm) for each in _passes(problem))
            if _planes_are_apart(problem) and of_images(algorithm, _planes(problem)) is None:
                self.by_planes = transposed_plan(_planes(problem), algorithm)
                times = problem.x_shape[0] * problem.taps[0]
                ways["planes"] = times * (self.by_planes.expected + CALL_NANOSECONDS)
        self.ways = tuple(sorted(ways.items(), key=lambda way: way[1]))
        if self.ways and self.ways[0][0] == "phases":
            self.by_planes = None
        self.by_phases = VolumeDataGradient(problem, None if problem.is_empty or algorithm != "auto" else flat(problem),
                                            algorithm if "phases" in ways else "auto")

    @property
    def algorithm(self):
        """Of the driver of most of it, as it is asked for."""
        return self._most.algorithm

    @property
    def driver(self):
        return self._most.driver

    @functools.cached_property
    def _most(self):
        if self.by_planes is not None:
            return self.by_planes
        passes = [] if self.problem.is_empty else _passes(self.problem)
        if not passes:
            return conv3d_plan(self.problem._replace(x_shape=(0, *self.problem.x_shape[1:])), self.asked)
        return conv3d_plan(max(passes, key=lambda each: each.problem.flops).problem, self.by_phases.asked)

    def considered(self):
        """As TransposedPlan's."""
        return tuple((name, nanoseconds, None) for name, nanoseconds in self.ways)

    @property
    def reason(self):
        """Why it is this way."""
        if self.asked != "auto":
            return "asked for by name"
        if self.ways and not self.ways[0][1]:
            return "no tap leads to the result"
        others = "".join(f"; {name} would take {nanoseconds / self.ways[0][1]:.1f} times as long"
                         for name, nanoseconds in self.ways[1:2])
        return f"by {self.ways[0][0] if self.ways else 'phases'}{others}"

    def prepare(self, weight):
        """What the plan of planes makes of the weights of each tap, as a tuple for a call."""
        if self.by_planes is None:
            return ()
        made = [self.by_planes.prepare(weight[:, :, tap]) for tap in range(self.problem.taps[0])]
        return (made,) if all(made) else ()

    def workspace(self, dtype):
        """Bytes of scratch of a call, with the threads that it would use now."""
        if self.by_planes is not None:
            return self.by_planes.workspace(dtype)
        return max((conv3d_plan(each.problem, self.by_phases.asked).workspace(dtype)
                    for each in ([] if self.problem.is_empty else _passes(self.problem))), default=0)

    def __call__(self, x, weight, y, bias=None, epilogue=PLAIN, prepared=()):
        """Fills y (N, K, D, H, W), a view with any strides."""
        if self.by_planes is None:
            self.by_phases(x, weight, y, bias, epilogue)
            return
        (front, _), step, distance = self.problem.pads[0], self.problem.stride[0], self.problem.dilation[0]
        places = [_places(tap * distance - front, step, x.shape[2], y.shape[2]) for tap in range(weight.shape[2])]
        if sum(last - first for first, last in places) < y.shape[2]:
            lay_ground(y, bias, epilogue)
        for tap, (first, last) in enumerate(places):
            if first < last:
                begin = tap * distance - front + first * step
                made = prepared[tap] if prepared else ()
                for planes, result in zip(x, y):
                    self.by_planes(planes[:, first:last].swapaxes(0, 1), weight[:, :, tap],
                                   result[:, begin:begin + step * (last - first - 1) + 1:step].swapaxes(0, 1), bias,
                                   epilogue, *made)


def _places(begin, step, planes, outputs):
    """The planes of x that a tap leads from to planes of y, the first of which is at `begin`: first, last + 1."""
    first = max(0, -(begin // step))
    return first, max(first, min(planes, (outputs - 1 - begin) // step + 1))


def _planes(problem):
    """The problem of the planes of one item."""
    return problem.planes(problem.output_size[0])


def _planes_are_apart(problem):
    """Whether no two taps along the depth lead to one plane."""
    return problem.taps[0] <= problem.stride[0] // math.gcd(problem.stride[0], problem.dilation[0])


def _passes(problem):
    return list(passes_inside(problem))


def _expected(problem, algorithm):
    plan = conv3d_plan(problem, algorithm)
    return plan.ways[0].nanoseconds if plan.ways else 0.0


def _unavailable_by_phases(algorithm, problem):
    return next((reason for each in _passes(problem) if (reason := of_volumes(algorithm, each.problem)) is not None),
                None)


def unavailable(algorithm, problem):
    """Why this algorithm cannot compute such a transposed convolution, or None where it can."""
    if algorithm == "auto" or problem.is_empty:
        return None
    if _planes_are_apart(problem) and of_images(algorithm, _planes(problem)) is None:
        return None
    return _unavailable_by_phases(algorithm, problem)


@functools.lru_cache(maxsize=128)
def transposed_plan3d(problem, algorithm):
    """The plan for a checked problem and an algorithm that is not unavailable."""
    return TransposedVolumes(problem, algorithm)
