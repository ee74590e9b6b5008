"""A small server that a Prometheus scrapes: `GET /metrics`, and nothing else."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final

from toka.performance._errors import TelemetryError

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PATIENCE: Final = 10.0
"""Seconds that a client may take to ask; a silent one would keep a thread."""


class Scrape:
    """Serves a text, made anew for each request, until it is closed.

    Raises:
        TelemetryError: the address cannot be listened at.
    """

    def __init__(self, host: str, port: int, text: Callable[[], str]) -> None:
        try:
            self._server = _Server((host, port), _handler(text))
        except OSError as error:
            raise TelemetryError(f"Metrics cannot be served at {host}:{port}: {error}.") from error
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.05,), name="toka-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened at."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening; a request under way is answered first."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    """So that `server_close` waits for requests under way."""


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND, "Metrics are at /metrics.")
                return
            body = text().encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", _CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: a scrape every few seconds is not news."""

    return Handler
