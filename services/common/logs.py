"""Structured logs: one event a line, fields beside it; JSON for machines, colours for people."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from services.common.settings import LogSettings

_CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s'\"]+", re.IGNORECASE)


def _no_urls(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A camera's URL holds its password: whatever looks like a URL loses all but its scheme."""
    for name, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        if "://" in text and not name.startswith("_"):  # those are structlog's own
            event[name] = _CREDENTIALS.sub(r"\1…", text)
    return event


def configure(settings: LogSettings) -> None:
    """Send all logs, those of libraries too, to standard error in the chosen form."""
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _no_urls,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Clients tell of every reconnection; what matters of it reaches our own logs.
    for name in ("kafka", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> Any:
    """A structlog logger: `log.info("event in words", field=value)`."""
    return structlog.stdlib.get_logger(name)
