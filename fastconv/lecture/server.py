"""HTTP on a socket of this computer: reads requests, writes what `routes.handle` answers."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fastconv.lecture.page import Page
from fastconv.lecture.routes import MOST_BYTES, Answer, handle, refusal

__all__ = ["Server"]


class Server(ThreadingHTTPServer):
    """Serves a page, a thread for each connection.

    Parameters
    ----------
    page : Page
    port : int
        0 for one that is free.
    """

    daemon_threads = True
    request_queue_size = 64  # connections not taken up yet; 5 are too few for a page that opens on a slow day

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes away in the midst of an answer is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.page.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with it an answer waits 40 ms for the browser to confirm its first packet
    wbufsize = 2**16  # head and body of an answer in one packet

    def do_GET(self) -> None:
        self._answer(self._handled("GET", b""))

    def do_POST(self) -> None:
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal() or len(text) > 18 or "Transfer-Encoding" in self.headers:  # Python reads 4300 digits
            self.close_connection = True
            self.send_error(411)
            return
        length = int(text)
        refused = refusal(self.server.page, "POST", self.path, dict(self.headers.items()), length)
        if refused is not None:
            self._discard(length)
            self._answer(refused)
            return
        self._answer(self._handled("POST", self.rfile.read(length)))

    def log_message(self, *arguments: object) -> None:
        """Nobody reads them."""

    def _handled(self, method: str, body: bytes) -> Answer:
        try:
            return handle(self.server.page, method, self.path, dict(self.headers.items()), body)
        except Exception:  # a defect of the program: the page says that there is one, the terminal which
            traceback.print_exc()
            return Answer(500, {"Content-Type": "application/json"}, b'{"error": "fastconv failed: see its terminal"}')

    def _discard(self, length: int) -> None:
        """Read a body that is not wanted, so that the browser comes to read the answer; too large a one is cut off."""
        if length > 4 * MOST_BYTES:
            self.close_connection = True
            return
        while length > 0 and (piece := self.rfile.read(min(length, 2**16))):
            length -= len(piece)

    def _answer(self, answer: Answer) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has gone
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            else:
                self._stream(answer.body)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        """Send what comes, as it comes; the end of the connection is the end of it."""
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
