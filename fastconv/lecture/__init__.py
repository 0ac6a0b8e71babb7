"""The lecture as a page in the browser: ``fastconv lecture``, or `fastconv.lecture(model)`: the module can be called.

The server is the standard library's, on this computer alone; every number on the page is a kernel's, by
`fastconv.walk`.

==============  ====================================================================================================
`start`         `lecture`: makes the page, serves it, opens the browser
`server`        HTTP on a socket; knows nothing of what is served
`routes`        `handle(page, method, path, headers, body) -> Answer`: who may ask, and which function answers
`wire`          JSON and arrays of float32 in one body
`page`          what a page is about: the model, its classes, how pictures become its images
`shown`         the images that it trains on and shows: the bundled digits, or somebody's own
`images`        the picture that a request means
`drawing`       from a drawn digit to what the network sees
`literal`       Python that holds an array
`conv`, `pool`, `forward`, `backward`, `downloads`
                the calls of the page
`train`         the calls that steer its training, and the events that tell of it
`training`      the training itself: a thread that starts, pauses, takes a step, is reset
`loop`          its loop: a batch, its loss, the way back, the update
``static/``     HTML, CSS, JavaScript modules, a file a view; no build step, nothing from elsewhere
==============  ====================================================================================================
"""

import sys
from types import ModuleType
from typing import Any

from fastconv.lecture.start import Lecture, lecture

__all__ = ["Lecture", "lecture"]


def __dir__() -> list[str]:
    return sorted(__all__)


class _Callable(ModuleType):
    """The module is called as the function that has its name: an import of either would hide the other."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return lecture(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
