"""One video through ingest, spotter and recognizer in one process: a stream, frame by frame, never a list of frames.

The cores hand each other the very messages that Kafka would carry, so that both ways give the same answers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microex.v1 import frame_pb2, stream_pb2
from services.analyze import events
from services.analyze.explain import Explanation, remove
from services.analyze.names import file_name
from services.analyze.quiet import without_chatter
from services.analyze.report import Report
from services.analyze.summary import Stages, count, expressions, source_of, unjudged, versions, words
from services.common.errors import Poison
from services.common.settings import AnalyzeSettings, LogSettings
from services.ingest.core import Ingest
from services.ingest.sources import Captured, open_video
from services.recognizer.engine import Engine
from services.spotter.core import Spotter
from services.spotter.detector import DETECTOR_VERSION

Progress = Callable[[int, int | None, int], None]
"""Called after each frame: frames so far, frames in all where that is known, expressions so far."""


@dataclass(frozen=True)
class Outcome:
    """What came of one video. fault: what was wrong with it although its files are written; None when nothing was."""

    marks: list[events.Mark]
    summary: dict[str, Any]
    fault: Poison | None


def analyse(
    video: Path,
    folder: Path,
    session: str,
    camera: str,
    settings: AnalyzeSettings,
    engine: Engine,
    progress: Progress = lambda *_: None,
    explain: bool = False,
) -> Outcome:
    """Find the expressions in one video and write its files into `folder`; explain: those of `explain.py` too.

    Raises Poison, and writes nothing, for a file of which not one frame can be read. A file that was cut short, or that
    shows no face, gets its files; `Outcome.fault` says so.
    """
    with (
        open_video(video) as source,
        closing(_ingest(session, camera, settings)) as ingest,
        Report(folder, video) as report,
    ):
        summary = {"video": file_name(video), "source": source_of(video), "session": session, "camera": camera}
        with Explanation(folder) if explain else nullcontext() as explanation:
            run = _Run(ingest, engine, report, explanation)
            for captured in run.readable(run.stages.each("read", source)):
                run.step(captured)
                progress(ingest.account.captured, source.frames, len(report.marks))
            run.take(ingest.finish(frame_pb2.End.REASON_SOURCE_END))
        if not explain:
            remove(folder)
        fault, account = run.fault or _unseen(ingest, video), run.summary()
        little = unjudged(account["duration_s"], account["fps"]) if ingest.account.faces_published else None
        summary |= account | {"fault": str(fault) if fault else little, "settings": _said(settings)}
        report.close(summary, *_captions(summary, report.marks, little), little)
    return Outcome(report.marks, summary, fault)


def _ingest(session: str, camera: str, settings: AnalyzeSettings) -> Ingest:
    with without_chatter():
        return Ingest(session, camera, 0, stream_pb2.TIME_BASE_MEDIA, settings)


class _Run:
    """The three cores joined, with an account of what went through."""

    def __init__(self, ingest: Ingest, engine: Engine, report: Report, explanation: Explanation | None) -> None:
        self._ingest, self._spotter, self._engine, self._report = ingest, Spotter(), engine, report
        self._explanation = explanation
        self._outcomes: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._dismissed: Counter[str] = Counter()
        self._first_us: int | None = None
        self._last_us = 0
        self.stages = Stages()
        self.fault: Poison | None = None

    def readable(self, frames: Iterable[Captured]) -> Iterator[Captured]:
        """The frames; an error after the first of them ends the stream and is kept as the fault."""
        try:
            yield from frames
        except Poison as error:
            if self._first_us is None:
                raise
            self.fault = error

    def step(self, captured: Captured) -> None:
        """One frame through all."""
        self._first_us = captured.time_us if self._first_us is None else self._first_us
        self._last_us = captured.time_us
        self._report.see(captured.time_us)
        with self.stages("landmarks"):
            messages = self._ingest.step(captured)
        self.take(messages)

    def take(self, messages: list[frame_pb2.FaceFrame]) -> None:
        """What ingest gave, through spotter and recognizer."""
        for message in messages:
            with self.stages("spot"):
                step = self._spotter.step(message)
            self._outcomes[step.outcome] += 1
            self._dismissed.update(step.dismissed)
            if self._explanation is not None:
                self._explanation.add(message, step)
            if step.outcome == "rejected":
                self._rejected[step.reason or "unknown"] += 1
            if step.outcome == "analysed":
                self._report.move(message.stream.track, step.time_us, self._spotter.magnitudes(message.stream))
            if step.windows:
                with self.stages("recognize"):
                    graphs = self._engine.recognise(step.windows)
                for graph, window in zip(graphs, step.windows, strict=True):
                    self._report.add(graph, window)

    def summary(self) -> dict[str, Any]:
        """The account of everything; see docs/outputs.md."""
        account, read, seen = self._ingest.account, self._ingest.account.captured, self._outcomes["analysed"]
        duration_s = (self._last_us - (self._first_us or 0)) / 1e6
        seconds = sum(self.stages.seconds.values())
        return {
            "duration_s": duration_s,
            "fps": round((read - 1) / duration_s, 3) if duration_s > 0 else None,
            "frames": {
                "read": read,
                "with_face": account.with_face,
                "without_face": account.without_face,
                "dropped": dict(account.dropped),
            },
            "faces": {
                "seen": account.faces_seen,
                "published": account.faces_published,
                "dropped": dict(account.faces_dropped),
            },
            "face_frames": {
                "published": account.faces_published,
                "analysed": seen,
                "rejected": dict(self._rejected),
            },
            "closes": account.closes and account.faces_published == seen + self._rejected.total(),
            "tracks": self._outcomes["end"],
            "expressions": expressions(self._report.marks) | {"dismissed": dict(self._dismissed)},
            "stages_s": {name: round(value, 3) for name, value in self.stages.seconds.items()},
            "frames_per_s": round(read / seconds, 1) if seconds else None,
            "model": events.model(self._engine.model),
            "detector": DETECTOR_VERSION,
            "versions": versions(),
        }


def _unseen(ingest: Ingest, video: Path) -> Poison | None:
    account = ingest.account
    if account.faces_published:
        return None
    if account.faces_seen:
        return Poison("no usable face in this video", file=str(video), **dict(account.faces_dropped))
    return Poison("no face in this video", file=str(video), frames=account.captured)


def _said(settings: AnalyzeSettings) -> dict[str, Any]:
    """Settings that can change an answer."""
    return settings.model_dump(mode="json", exclude=set(LogSettings.model_fields))


def _captions(summary: dict[str, Any], marks: list[events.Mark], little: str | None) -> tuple[str, str, str]:
    """Title, subtitle and footer of the picture."""
    frames = f"{count(summary['frames']['read'], 'frame')}"
    rate = f" at {summary['fps']:.1f} a second" if summary["fps"] else ""
    model, libraries = summary["model"], summary["versions"]
    return (
        summary["video"],
        f"{frames}{rate}   ·   {count(summary['tracks'], 'face track')}   ·   {words(marks)}"
        + (f"   ·   {little}" if little else ""),
        f"microex {libraries['microex']}   ·   detector {summary['detector']}   ·   model {model['name']} "
        f"{model['version']}, {model['digest'][:12]}",
    )
