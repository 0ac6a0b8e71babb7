"""`lecture`: a page about a model, served and opened."""

from __future__ import annotations

import contextlib
import secrets
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import data, nn
from fastconv.data.framing import Framing
from fastconv.functional import checks
from fastconv.lecture.page import Page
from fastconv.lecture.server import Server
from fastconv.lecture.shown import Shown

__all__ = ["Lecture", "lecture"]


class Lecture:
    """A page that is being served: `lecture(..., block=False)` returns it.

    Attributes
    ----------
    address : str
        With the secret that makes it yours.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.address = server.address
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="fastconv-lecture", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until somebody presses Ctrl-C, which closes it."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stop serving, and training; once is enough, twice does no harm."""
        self._server.page.training.close()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Lecture:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lecture({self.address!r})"


def lecture(model: nn.Module | None = None, *, classes: Sequence[str] | None = None,
            framing: Mapping[str, Any] | None = None,
            datasets: tuple[data.ArrayDataset, data.ArrayDataset] | None = None, view: str = "", port: int = 0,
            browser: bool = True, block: bool = True, source: str | None = None, reading: str | None = None) -> Lecture:
    """Show the lecture as a page in the browser: a filter that slides, an image on its way through a model.

    Parameters
    ----------
    model : Module, optional
        A classifier. By default a LeNet-5 that has not learnt anything yet.
    classes : sequence of str, optional
        The names of its classes; by default their numbers.
    framing : mapping, optional
        How a picture becomes one of its images, as ``dataset.framing`` says it. By default that of `datasets`, or
        28 x 28, and the channels of its first convolution.
    datasets : (ArrayDataset, ArrayDataset), optional
        Images to train on and to test on, as the model takes them. The page shows the latter. By default the bundled
        digits.
    view : str
        What is shown first, as it stands in the page's address: ``"draw"``, ``"slide?image=digit:7&padding=2"``.
    port : int
        Of this computer; 0 takes a free one.
    browser : bool
        Whether to open the browser; without it, open the address by hand.
    block : bool
        Whether to wait, until Ctrl-C; else the page is served in a thread of its own until it is closed.
    source, reading : str, optional
        The Python lines that make the model, and ``train, test``, the datasets: for the page's own examples.

    Returns
    -------
    Lecture

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the model does not take such images.
    OSError
        If the port is taken.

    Examples
    --------
    >>> import fastconv as fc
    >>> with fc.lecture(browser=False, block=False) as page:
    ...     page.address[:17]
    'http://127.0.0.1:'
    """
    number = checks.integer(port, "port", 0, 65535)
    name, _, query = view.partition("?")
    frame = Framing.checked(**framing) if framing else Framing()
    shown = Shown.of(datasets, reading)
    page = Page.of(model, source, None if classes is None else list(classes), frame, secrets.token_urlsafe(16), shown)
    running = Lecture(Server(page, number))
    if view:
        running.address += "?" + "&".join(filter(None, [f"view={name}", query]))
    if browser:
        webbrowser.open(running.address)
    if block:
        with running, contextlib.suppress(KeyboardInterrupt):  # it may come before it is waited for
            print(f"the page is at {running.address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
            running.wait()
    return running
