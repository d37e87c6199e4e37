"""Logs: machines can read them, and no URL with its password gets into them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.common.logs import configure, get_logger
from services.common.settings import LogSettings

CAMERA = "rtsp://admin:hunter2@10.0.0.7:554/stream?key=hunter2"


@pytest.fixture(autouse=True)
def keep_logging_of_the_test_run() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def start(level: str = "info", form: str = "json") -> None:
    configure(LogSettings.model_validate({"log_level": level, "log_format": form}))


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    start()
    get_logger("services.ingest").info("track began", session="s", track="0.0.0")
    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "track began", "session": "s", "track": "0.0.0", "level": "info", "logger": "services.ingest",
    }  # fmt: skip


def test_less_severe_lines_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    start("warning")
    get_logger("a").info("not news")
    get_logger("a").warning("news")
    assert [line["event"] for line in lines(capsys)] == ["news"]


@pytest.mark.parametrize(
    "value",
    [CAMERA, f"cannot open {CAMERA}: refused", ValueError(CAMERA), [CAMERA], {"source": CAMERA}, CAMERA.upper()],
    ids=["alone", "in a sentence", "error", "list", "dict", "upper case"],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_camera_s_password_is_not_written(capsys: pytest.CaptureFixture[str], form: str, value: Any) -> None:
    start(form=form)
    get_logger("a").error("camera is away", source=value)
    written = capsys.readouterr().err
    assert "camera is away" in written and "hunter2" not in written.lower()


def test_nor_by_a_library_or_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    start()
    logging.getLogger("library").warning("opening %s", CAMERA)
    try:
        raise ValueError(CAMERA)
    except ValueError:
        get_logger("a").exception("failed")
    written = lines(capsys)
    assert written[0]["event"] == "opening rtsp://…"
    assert "ValueError: rtsp://…" in written[1]["exception"]
