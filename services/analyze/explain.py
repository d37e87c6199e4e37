"""What the spotter looked at and why it decided as it did: candidates.jsonl, and contact sheets of what it found.

A line of candidates.jsonl is one candidate: when, what became of it (`micro`, `macro`, or the reason why it is no
expression), the likelihood and the measures that it was judged by, and its curve. A row of a contact sheet is one
window: the crops of onset, apex and offset, and how much the apex differs from the onset.
"""

from collections import deque
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, window_pb2
from services.analyze.events import KINDS
from services.analyze.files import JsonLines, part_of, writing
from services.motion.convention import CROP_PX
from services.spotter.detector import LOOK_BACK_S, Step
from services.spotter.judge import Verdict

Picture = NDArray[np.uint8]

LINES: Final = "candidates.jsonl"

ROWS: Final = 24
"""Windows on one sheet."""
GAIN: Final = 4
"""How much differences are enlarged."""
_CAPTION_PX: Final = 18


class Explanation:
    """Writes into `folder` while candidates come. The files take their names, and the place of older ones, when the
    `with` block ends, and vanish when it fails. Raises Fatal where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lines = JsonLines(folder / LINES)
        self._crops: deque[tuple[str, int, bytes]] = deque()
        self._rows: list[Picture] = []
        self._sheets: list[Path] = []

    def add(self, message: frame_pb2.FaceFrame, step: Step) -> None:
        """What a message led to."""
        if message.HasField("frame") and step.outcome == "analysed":
            self._crops.append((message.stream.track, step.time_us, message.frame.crop_jpeg))
            while self._crops[0][1] < step.time_us - LOOK_BACK_S * 1e6:
                self._crops.popleft()
        windows = iter(step.windows)
        for verdict in step.verdicts:
            window = next(windows) if verdict.found is not None else None
            self._lines.add(describe(verdict, window, message.stream.track, step.time_us))
            if window is not None:
                self._rows.append(self._row(window))
            if len(self._rows) == ROWS:
                self._write_sheet()

    def _row(self, window: window_pb2.ApexWindow) -> Picture:
        moments = {"onset": window.onset, "apex": window.apex, "offset": window.offset}
        crops = [self._crop(window.stream.track, moment.time_us) for moment in moments.values()]
        moved = cv2.convertScaleAbs(cv2.subtract(crops[1], crops[0], dtype=cv2.CV_16S), alpha=GAIN)
        row = np.full((CROP_PX + _CAPTION_PX, 4 * CROP_PX), 255, np.uint8)
        row[_CAPTION_PX:] = np.hstack([*crops, moved])
        captions = [f"{name} {moment.time_us / 1e6:.2f} s" for name, moment in moments.items()]
        for k, caption in enumerate([*captions, f"{KINDS[window.kind]}, difference"]):
            where = (k * CROP_PX + 2, _CAPTION_PX - 5)
            cv2.putText(row, caption, where, cv2.FONT_HERSHEY_SIMPLEX, 0.36, 0, 1, cv2.LINE_AA)
        return row

    def _crop(self, track: str, time_us: int) -> Picture:
        """The crop nearest to that time; an offset may lie ahead of the newest."""
        own = [(abs(at - time_us), jpeg) for name, at, jpeg in self._crops if name == track]
        jpeg = min(own, key=lambda each: each[0])[1]
        return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)

    def _write_sheet(self) -> None:
        self._sheets.append(self._folder / f"candidates-{len(self._sheets) + 1:03d}.png")
        with writing(self._folder):
            part_of(self._sheets[-1]).write_bytes(bytes(cv2.imencode(".png", np.vstack(self._rows))[1]))
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            with self._lines:
                if kind is None:
                    self._close()
        finally:
            for sheet in self._sheets:
                part_of(sheet).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._rows:
            self._write_sheet()
        remove(self._folder)
        with writing(self._folder):
            for sheet in self._sheets:
                part_of(sheet).replace(sheet)
        self._lines.close()


def remove(folder: Path) -> None:
    """Delete what an earlier run explained there: beside the results of another it would mislead."""
    with writing(folder):
        for old in (folder / LINES, *folder.glob("candidates-*.png")):
            old.unlink(missing_ok=True)


def describe(verdict: Verdict, window: window_pb2.ApexWindow | None, track: str, decided_us: int) -> dict[str, Any]:
    """One line, JSON values; times in seconds of the stream."""
    apex_s, seen = verdict.apex_us / 1e6, verdict.seen
    line: dict[str, Any] = {
        "track": track,
        "apex_s": apex_s,
        "decided_s": decided_us / 1e6,
        "became": KINDS[window.kind] if window is not None else verdict.reason,
        "window_id": window.window_id if window is not None else None,
        "brief": verdict.brief,
        "likelihood": None if verdict.likelihood is None else round(verdict.likelihood, 4),
        "onset_s": None,
        "offset_s": None,
        "measures": None,
    }
    if seen is not None:
        line["onset_s"], line["offset_s"] = round(apex_s + seen.onset_s, 4), round(apex_s + seen.offset_s, 4)
        measures = asdict(seen.measures) | (seen.matched.measures() if seen.matched else {})
        line["measures"] = {name: round(value, 5) for name, value in measures.items()}
    times, strength = (seen.times, seen.strength) if seen is not None else verdict.course or ((), ())
    line["curve"] = {
        "time_s": [round(apex_s + float(time), 4) for time in times],
        "strength": [round(float(value), 6) for value in strength],
    }
    return line
