"""/metrics for Prometheus, /healthz and /readyz for whoever watches over the process."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.common.errors import Fatal
from services.common.logs import get_logger

log = get_logger(__name__)


class StatusServer:
    """Serves the three pages from a thread of its own.

    ready: None when the service is ready, else why it is not; asked at every /readyz.
    alive: likewise for /healthz.
    """

    def __init__(
        self, host: str, port: int, ready: Callable[[], str | None], alive: Callable[[], str | None] = lambda: None
    ) -> None:
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(ready, alive))
        except OSError as error:
            raise Fatal(
                "cannot listen for /metrics; choose another MICROEX_HTTP_PORT (0 takes a free one)",
                host=host,
                port=port,
                error=error.strerror,
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)

    @property
    def port(self) -> int:
        """Port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve; logs the port."""
        self._thread.start()
        log.info("status pages", port=self.port)

    def stop(self) -> None:
        """Stop serving; returns when the socket is closed."""
        if self._thread.is_alive():  # else nobody would answer the request to shut down
            self._server.shutdown()
        self._server.server_close()


def _handler(ready: Callable[[], str | None], alive: Callable[[], str | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif path in ("/healthz", "/readyz"):
                problem = alive() if path == "/healthz" else ready()
                self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode(), "text/plain; charset=utf-8")
            else:
                self._answer(404, b"try /metrics, /healthz or /readyz\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds; they are no news."""

    return Handler
