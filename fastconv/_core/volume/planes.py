"""Which planes of a volume meet which taps along the depth: the sum over these taps as steps, each of which is one
convolution of images.

A tap that meets every output comes first, so that it writes y and the others add to it; padding with zeros is not met
at all. Output planes are cut where another step is the first or the last on them: the first brings the bias, the last
the activation. Where there is one channel the taps that a plane meets are the channels of one step.
"""

from typing import NamedTuple

import numpy as np

from fastconv._core.problem.geometry import parts


class Step(NamedTuple):
    """Taps along the depth on output planes first .. last - 1.

    from_plane: what the first of them meets, the next one plane_step further on; or None where that is constant
    padding. writes: whether nothing was there before; ends: whether nothing is added later.
    """

    taps: range
    first: int
    last: int
    from_plane: int | None
    plane_step: int
    writes: bool = False
    ends: bool = False


def steps(problem, whole, joined):
    """The steps of a problem, in their order. whole: constant padding is met too; joined: taps are channels,
    where they can."""
    runs = list(_joined(problem) if joined and not whole else _one_by_one(problem, whole))
    outputs = problem.output_size[0]
    cuts = np.unique([0, outputs, *(run.first for run in runs), *(run.last for run in runs)])
    first, last = np.full(len(cuts) - 1, -1), np.full(len(cuts) - 1, -1)
    spans = [slice(*np.searchsorted(cuts, (run.first, run.last))) for run in runs]
    for i, span in enumerate(spans):
        first[span] = np.where(first[span] < 0, i, first[span])
        last[span] = i
    result = []
    for i, (run, span) in enumerate(zip(runs, spans)):
        result.extend(_cut(run, cuts[span.start:span.stop + 1], first[span] == i, last[span] == i))
    for i in np.flatnonzero(first < 0):    # these meet zeros alone
        result.append(Step(range(1), int(cuts[i]), int(cuts[i + 1]), None, 0, True, True))
    return tuple(result)


def planes_met(problem, tap, whole):
    """The steps of one tap: output planes whose planes follow each other evenly."""
    outputs, stride = problem.output_size[0], problem.stride[0]
    begin = tap * problem.dilation[0] - problem.origin[0]
    done, of_tap = 0, range(tap, tap + 1)
    for of_outputs, planes, one in parts(range(begin, begin + stride * outputs, stride), problem.size[0],
                                         problem.padding_mode):
        if whole and done < of_outputs.start:
            yield Step(of_tap, done, of_outputs.start, None, 0)
        yield Step(of_tap, of_outputs.start, of_outputs.stop, planes.start, 0 if one else planes.step)
        done = of_outputs.stop
    if whole and done < outputs:
        yield Step(of_tap, done, outputs, None, 0)


def _one_by_one(problem, whole):
    """Tap by tap, those before others that meet more outputs."""
    taps = [list(planes_met(problem, tap, whole)) for tap in range(problem.taps[0])]
    for runs in sorted(taps, key=lambda runs: -sum(run.last - run.first for run in runs)):
        yield from runs


def _joined(problem):
    """For output planes that meet the same taps, these together; padding is with zeros."""
    met = [run for tap in range(problem.taps[0]) for run in planes_met(problem, tap, False)]
    cuts = np.unique([edge for run in met for edge in (run.first, run.last)])
    for first, last in zip(cuts[:-1].tolist(), cuts[1:].tolist()):
        together = [run for run in met if run.first <= first and last <= run.last]
        if together:
            begin = together[0]
            yield Step(range(begin.taps.start, together[-1].taps.stop), first, last,
                       begin.from_plane + (first - begin.first) * problem.stride[0], problem.stride[0])


def _cut(run, cuts, writes, ends):
    """A step in pieces on which it is, or is not, the first and the last one."""
    begin = 0
    for i in range(1, len(writes) + 1):
        if i == len(writes) or (writes[i], ends[i]) != (writes[begin], ends[begin]):
            first, last = int(cuts[begin]), int(cuts[i])
            plane = run.from_plane
            if plane is not None:
                plane += (first - run.first) * run.plane_step
            yield run._replace(first=first, last=last, from_plane=plane, writes=bool(writes[begin]),
                               ends=bool(ends[begin]))
            begin = i
