"""The status pages, asked as Prometheus and Kubernetes ask."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CONTENT_TYPE_LATEST, Counter

from services.common.errors import Fatal
from services.common.status import StatusServer

Serve = Callable[..., StatusServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(ready: str | None = None, alive: str | None = None) -> StatusServer:
            server = StatusServer("127.0.0.1", 0, lambda: ready, lambda: alive)
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def get(server: StatusServer, path: str) -> tuple[int, str, str]:
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers["Content-Type"]
    except HTTPError as error:
        return error.code, error.read().decode(), error.headers["Content-Type"]


def test_ready_and_alive(serve: Serve) -> None:
    server = serve()
    assert get(server, "/readyz")[:2] == get(server, "/healthz")[:2] == (200, "ok\n")


def test_a_service_that_is_not_ready_says_why_and_is_alive(serve: Serve) -> None:
    server = serve(ready="no broker answers")
    assert get(server, "/readyz")[:2] == (503, "no broker answers\n")
    assert get(server, "/healthz")[0] == 200


def test_a_service_that_hangs_says_so(serve: Serve) -> None:
    assert get(serve(alive="stuck for 60 s"), "/healthz")[:2] == (503, "stuck for 60 s\n")


def test_metrics_are_what_prometheus_reads(serve: Serve) -> None:
    counter = Counter("microex_test_status_pages_total", "Counted by this test.")
    counter.inc(3)
    status, text, content_type = get(serve(), "/metrics")
    assert status == 200 and content_type == CONTENT_TYPE_LATEST
    assert "microex_test_status_pages_total 3.0" in text


def test_other_pages_do_not_exist(serve: Serve) -> None:
    assert get(serve(), "/other")[0] == 404


def test_a_taken_port_is_an_error_that_names_the_setting(serve: Serve) -> None:
    with pytest.raises(Fatal, match="MICROEX_HTTP_PORT"):
        StatusServer("127.0.0.1", serve().port, lambda: None)
