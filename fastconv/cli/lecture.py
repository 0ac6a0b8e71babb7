"""``fastconv lecture [MODEL]``: the lecture as a page in the browser, see `fastconv.lecture`."""

from __future__ import annotations

import argparse
import contextlib
from argparse import Namespace
from dataclasses import replace
from typing import Any

from fastconv.cli.arguments import Parser, UsageError, existing_file, integer
from fastconv.cli.models import load_model
from fastconv.cli.output import Result, say
from fastconv.cli.pictures import framing_of
from fastconv.cli.sources import Sources, add_source_options, check_source_options, read_sources, read_sources_as
from fastconv.data.sources import exists
from fastconv.lecture.start import lecture

_DESCRIPTION = """\
Shows the lecture in the browser: a filter that slides over an image, a digit to draw, a model from inside, the way back
of a loss, a training to steer. The page is served by this computer for itself alone, and needs no network. Without a
model it is about a LeNet-5 that has not learnt anything yet, until it is trained there: on the bundled digits, or on
the images of --data, which it is then about. Ctrl-C ends it."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("MODEL", 0, 1, "a file that fastconv train or fastconv.save wrote")
    parser.option("lecture", "--port", type=integer(0, 65535), default=0, metavar="N",
                  help="port of this computer (default: one that is free)")
    parser.option("lecture", "--browser", action=argparse.BooleanOptionalAction, default=True,
                  help="open the browser, or only say the address (default: open it)")
    parser.option("lecture", "--view", default="", metavar="VIEW",
                  help="what is shown first, as in the page's address: draw, or 'slide?image=digit:7&padding=2'")
    add_source_options(parser, of_a_model=True)


def run(options: Namespace) -> Result:
    model: Any = None
    settings: dict[str, Any] = {}
    sources: Sources | None = None
    source = options.data  # without one the model's, and the bundled digits
    for name in ("size", "channels", "fit"):
        if getattr(options, name) is None:
            continue
        if options.model and name != "fit":
            raise UsageError(f"--{name} is for --data without a MODEL, which says it itself")
        if not options.model and options.data is None:
            raise UsageError(f"--{name} is for a MODEL or --data" if name == "fit" else f"--{name} is for --data")
    if options.data is not None:
        check_source_options(options)
    if options.model:
        path = existing_file(options.model[0], "MODEL", ": fastconv train makes one")
        model, trained_on = load_model(path)
        framing = framing_of(options, path, trained_on)
        settings = {"framing": framing.to_dict(), "classes": trained_on.classes,
                    "source": f"model = fc.load({str(path)!r})"}
        if source is None and trained_on.source is not None and exists(trained_on.source):
            source = trained_on.source
        if source not in (None, "digits"):
            sources = read_sources_as(replace(trained_on, framing=framing), source)
    elif source not in (None, "digits"):
        sources = read_sources(options, "lenet5")
    if sources is not None:
        settings |= {"datasets": (sources.train, sources.test), "reading": sources.code(source)}
    try:
        page = lecture(model, **settings, view=options.view, port=options.port, browser=options.browser, block=False)
    except OSError as error:
        raise UsageError(f"--port {options.port} cannot be used: {error.strerror}") from error
    with page, contextlib.suppress(KeyboardInterrupt):  # it may come before it is waited for
        say(options, f"the page is at {page.address} (Ctrl-C ends it)")
        page.wait()
    return Result({"address": page.address, "warnings": options.warnings}, "")
