"""Who may ask, and which function answers: `handle`, which knows nothing of sockets.

The page is for one person at this computer. So the address begins with a secret, the `Host` must be this computer (a
foreign name that leads here, as DNS rebinding makes one, is none), the `Origin` must be the page itself, and files are
those of a fixed table.
"""

from __future__ import annotations

import gzip
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from fastconv.lecture import wire
from fastconv.lecture.backward import backward, check
from fastconv.lecture.conv import conv
from fastconv.lecture.downloads import csv, npz
from fastconv.lecture.forward import forward
from fastconv.lecture.images import Sections, show
from fastconv.lecture.page import Page
from fastconv.lecture.pool import pool
from fastconv.lecture.train import events, train, weights

__all__ = ["CALLS", "FILES", "MOST_BYTES", "STREAMS", "Answer", "handle", "refusal"]

MOST_BYTES = 8 * 2**20

Call = Callable[[Page, Mapping[str, Any], Sections], tuple[dict[str, Any], dict[str, Any]] | bytes]

#: What POST api/NAME calls, with head and sections of the body, see `wire`; bytes are a file.
CALLS: dict[str, Call] = {"picture": show, "conv": conv, "pool": pool, "forward": forward, "backward": backward,
                          "check": check, "train": train, "weights": weights, "npz": npz, "csv": csv}

#: What GET api/NAME goes on sending, as server-sent events.
STREAMS: dict[str, Callable[[Page], Iterator[bytes]]] = {"events": events}

_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "json": "application/json",
          "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

#: The files of the page.
FILES = ("index.html", "style.css", "icon.svg", "main.js", "wire.js", "dom.js", "canvas.js", "pictures.js", "mosaic.js",
         "curves.js", "downloads.js", "i18n/en.json", "i18n/ko.json", "views/slide.js", "views/equation.js",
         "views/backward.js", "views/network.js", "views/draw.js", "views/train.js")

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: What is wrong with a request, not with the program.
_REFUSED = (ArithmeticError, ImportError, LookupError, MemoryError, TypeError, ValueError)


class Answer(NamedTuple):
    """What goes back: `body` is bytes, or for a stream what goes on coming."""

    status: int
    headers: dict[str, str]
    body: bytes | Iterator[bytes]


def handle(page: Page, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer a request.

    Parameters
    ----------
    page : Page
    method : {"GET", "POST"}
    path : str
        With the query, which is the page's own affair.
    headers : mapping
    body : bytes

    Returns
    -------
    Answer
        403 for strangers, 404 for what is not there, 405, 413 for more than `MOST_BYTES`, 400 with ``{"error": ...}``
        where the call refuses what it is given.
    """
    refused = refusal(page, method, path, headers, len(body))
    if refused is not None:
        return refused
    name = _place(path)[1]
    kind, _, call = name.partition("/")
    if kind == "api":
        if method == "POST":
            return _called(page, call, body)
        if call == "state":
            return _json(200, page.about())
        return Answer(200, {**_HEADERS, "Content-Type": "text/event-stream"}, STREAMS[call](page))
    name = name or "index.html"
    packed = "gzip" in {key.lower(): value for key, value in headers.items()}.get("accept-encoding", "")
    told = {"Content-Type": _TYPES[name.rpartition(".")[2]], **({"Content-Encoding": "gzip"} if packed else {})}
    return Answer(200, {**_HEADERS, **told}, _file(name, packed))


def refusal(page: Page, method: str, path: str, headers: Mapping[str, str], length: int) -> Answer | None:
    """Why a request with a body of this length is not answered, before the body is read; None if it is."""
    given = {name.lower(): value for name, value in headers.items()}
    host = given.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        return _json(403, {"error": f"Host must be this computer, got {host!r}"})
    origin = given.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return _json(403, {"error": f"Origin must be the page, got {origin!r}"})
    token, name = _place(path)
    if not secrets.compare_digest(token.encode(), page.token.encode()):
        return _json(403, {"error": "the address must begin with the secret that fastconv lecture shows"})
    kind, _, call = name.partition("/")
    gets = name in FILES or not name or (kind == "api" and (call == "state" or call in STREAMS))
    posts = kind == "api" and call in CALLS
    if not (gets or posts):
        return _json(404, {"error": f"there is no {name!r}"})
    if method not in (["GET"] if gets else []) + (["POST"] if posts else []):
        return _json(405, {"error": f"{name} is for {'GET' if gets else 'POST'}, got {method}"})
    if length > MOST_BYTES:
        return _json(413, {"error": f"the body must have at most {MOST_BYTES} bytes, got {length}"})
    return None


@cache
def _file(name: str, packed: bool) -> bytes:
    """A file of the page, as it is or packed."""
    text = resources.files("fastconv.lecture").joinpath("static", *name.split("/")).read_bytes()
    return gzip.compress(text, mtime=0) if packed else text


def _place(path: str) -> tuple[str, str]:
    """The secret and the rest of an address."""
    token, _, name = path.partition("?")[0].removeprefix("/").partition("/")
    return token, name


def _called(page: Page, name: str, body: bytes) -> Answer:
    try:
        head, sections = wire.unpack(body)
        found = CALLS[name](page, head, sections)
        answer = found if isinstance(found, bytes) else wire.pack(*found)
    except _REFUSED as error:
        return _json(400, {"error": " ".join(str(error).split()) or type(error).__name__})
    return Answer(200, {**_HEADERS, "Content-Type": "application/octet-stream"}, answer)


def _json(status: int, document: Mapping[str, Any]) -> Answer:
    return Answer(status, {**_HEADERS, "Content-Type": "application/json"}, json.dumps(document).encode())
