"""JSON Lines, events.csv and summary.json: written beside their names and renamed when whole."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from services.analyze.events import Event
from services.common.errors import Fatal

_FIXED = (
    "window_id",
    "video",
    "session",
    "camera",
    "track",
    "kind",
    "onset_frame",
    "apex_frame",
    "offset_frame",
    "onset_s",
    "apex_s",
    "offset_s",
    "fps",
)
_OF_AU = ("active", "probability", "intensity", "side")
_OF_MODEL = ("name", "version", "digest", "trained")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises Fatal when what is written inside meets a full disk, or a folder that lets nobody write."""
    try:
        yield
    except OSError as error:
        raise Fatal("results cannot be written there", folder=str(folder), error=error.strerror) from error


def part_of(path: Path) -> Path:
    """What a file is called until it is whole; its suffix stays."""
    return path.with_name(f".part-{path.name}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`. It takes that name when the block ends, and vanishes when it fails, so
    that no reader ever sees half a file. Raises as `writing`."""
    part = part_of(path)
    try:
        with writing(path.parent):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class JsonLines:
    """UTF-8, one JSON object a line, each line whole on disk as soon as it is added. Raises as `writing`.

    Until `close` the name begins with `.part-`; leaving the `with` block without `close` removes the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, part_of(path)
        with writing(path.parent):
            self._file = self._part.open("w", encoding="utf-8", newline="\n")

    def add(self, line: dict[str, Any]) -> None:
        with writing(self._path.parent):
            self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        with writing(self._path.parent):
            self._file.close()
            self._part.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Discards what was not closed."""
        try:
            with writing(self._path.parent):
                self._file.close()  # on a full disk it fails once more, on what could not be flushed
        finally:
            self._part.unlink(missing_ok=True)


def read_events(path: Path) -> Iterator[Event]:
    """The events of an events.jsonl, one at a time."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def write_csv(path: Path, events: Path) -> None:
    """events.csv from a finished events.jsonl: a row an event, RFC 4180, UTF-8.

    Read twice, so that the columns of emotions and AUs are known before the first row and memory stays flat.
    """
    emotions: dict[str, None] = {}
    aus: dict[str, None] = {}
    for event in read_events(events):
        emotions |= dict.fromkeys(event["emotion"]["probabilities"])
        aus |= dict.fromkeys(au["au"] for au in event["aus"])
    columns = [*_FIXED, "emotion", *(f"emotion_{name}" for name in emotions)]
    columns += [f"{au}_{what}" for au in aus for what in _OF_AU] + [f"model_{what}" for what in _OF_MODEL]
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(row(event) for event in read_events(events))


def row(event: Event) -> dict[str, str | int | float]:
    """One row of events.csv: column to cell; what is not known is empty, truth is "true" or "false"."""
    cells: dict[str, Any] = {name: event[name] for name in _FIXED}
    cells["emotion"] = event["emotion"]["label"]
    cells |= {f"emotion_{name}": value for name, value in event["emotion"]["probabilities"].items()}
    cells |= {f"{au['au']}_{what}": au[what] for au in event["aus"] for what in _OF_AU}
    cells |= {f"model_{what}": event["model"][what] for what in _OF_MODEL}
    return {name: _cell(value) for name, value in cells.items()}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A JSON file for people: indented, UTF-8."""
    with whole(path) as part:
        part.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n", "utf-8")


def _cell(value: str | int | float | bool | None) -> str | int | float:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value
