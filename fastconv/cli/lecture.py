"""``fastconv lecture [MODEL]``: the lecture as a page in the browser, see `fastconv.lecture`."""

from __future__ import annotations

import argparse
from argparse import Namespace
from typing import Any

from fastconv.cli.arguments import Parser, UsageError, existing_file, integer
from fastconv.cli.models import TrainedOn, load_model
from fastconv.cli.output import Result, say
from fastconv.cli.pictures import add_fit_option, framing_of
from fastconv.lecture.start import lecture

_DESCRIPTION = """\
Shows the lecture in the browser: a filter that slides over an image, a digit to draw, a model from inside, the way back
of a loss, a training to steer. The page is served by this computer for itself alone, and needs no network. Without a
model it is about a LeNet-5 that has not learnt anything yet, until it is trained there. Ctrl-C ends it."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("MODEL", 0, 1, "a file that fastconv train or fastconv.save wrote")
    parser.option("lecture", "--port", type=integer(0, 65535), default=0, metavar="N",
                  help="port of this computer (default: one that is free)")
    parser.option("lecture", "--browser", action=argparse.BooleanOptionalAction, default=True,
                  help="open the browser, or only say the address (default: open it)")
    parser.option("lecture", "--view", default="", metavar="VIEW",
                  help="what is shown first, as in the page's address: draw, or 'slide?image=digit:7&padding=2'")
    add_fit_option(parser, "lecture", of_a_model=True)


def run(options: Namespace) -> Result:
    model: Any = None
    settings: dict[str, Any] = {}
    trained_on = TrainedOn()
    if options.model:
        path = existing_file(options.model[0], "MODEL", ": fastconv train makes one")
        model, trained_on = load_model(path)
        settings = {"framing": framing_of(options, path, trained_on).to_dict(), "classes": trained_on.classes,
                    "source": f"model = fc.load({str(path)!r})"}
    elif options.fit is not None:
        raise UsageError("--fit is for a MODEL: name its file")
    try:
        page = lecture(model, **settings, view=options.view, port=options.port, browser=options.browser, block=False)
    except OSError as error:
        raise UsageError(f"--port {options.port} cannot be used: {error.strerror}") from error
    say(options, f"the page is at {page.address} (Ctrl-C ends it)")
    page.wait()
    return Result({"address": page.address, "warnings": options.warnings}, "")
