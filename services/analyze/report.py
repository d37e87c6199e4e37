"""The folder of one camera: every file that `analyze` and `export` write, from answers as they come."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microex.v1 import graph_pb2, window_pb2
from services.analyze import events, files
from services.analyze.curves import MotionCurves
from services.analyze.elan import write_eaf
from services.analyze.names import file_name
from services.analyze.picture import Picture, Strongest
from services.analyze.timeline import write_timeline
from services.motion.rois import ROIS


class Report:
    """Takes answers and curves while they come, and writes the files in the end.

    Memory does not grow with the length of a video but by what a table row holds for each event. Nothing in `folder`
    changes before `close`, and then each file appears whole; leaving the `with` block without `close` leaves it as it
    was, or makes none.

    video: the file that was looked at, None where it is not known. origin_s: seconds in the streams' time base at which
    pictures and ELAN begin to count.
    """

    def __init__(self, folder: Path, video: Path | None = None, origin_s: float = 0.0) -> None:
        with files.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._video, self._origin_s = folder, video, origin_s
        self._name = file_name(video) if video else None
        self._log = files.JsonLines(folder / "events.jsonl")
        self._curves = MotionCurves()
        self._strongest: Strongest | None = None
        self._start_s: float | None = None
        self._end_s = origin_s
        self.marks: list[events.Mark] = []

    def see(self, time_us: int) -> None:
        """The stream was there at this time: pictures span from the first to the last."""
        self._start_s = time_us / 1e6 if self._start_s is None else min(self._start_s, time_us / 1e6)
        self._end_s = max(self._end_s, time_us / 1e6)

    def move(self, track: str, time_us: int, magnitudes: NDArray[np.float32]) -> None:
        """How far the regions of a face had moved at a time. magnitudes: [regions], outer-eye distances."""
        self.see(time_us)
        self._curves.add(track, time_us, magnitudes)

    def add(self, graph: graph_pb2.AuGraph, window: window_pb2.ApexWindow | None) -> None:
        """One answer, and the window that it is about where that is still known. Raises Poison as `events.event`."""
        self._log.add(events.event(graph, self._name))
        self.marks.append(events.mark(graph))
        self.see(graph.onset.time_us)
        self.see(graph.offset.time_us)
        if window is not None and len(window.roi_centres) == 2 * len(ROIS):
            magnitude = peak(window)
            if self._strongest is None or magnitude > self._strongest.magnitude:
                self._strongest = Strongest(window, graph, magnitude)

    def close(
        self, summary: dict[str, Any], title: str, subtitle: str, footer: str, unjudged: str | None = None
    ) -> None:
        """Write everything; summary.json last, so that whoever sees it sees the rest. title to unjudged: of `Picture`.
        Raises Fatal where the folder cannot be written."""
        self._log.close()
        files.write_csv(self._folder / "events.csv", self._folder / "events.jsonl")
        picture = Picture(
            title=title,
            subtitle=subtitle,
            footer=footer,
            curves=self._curves.curves(),
            marks=self.marks,
            strongest=self._strongest,
            start_s=self._origin_s if self._start_s is None else self._start_s,
            end_s=self._end_s,
            origin_s=self._origin_s,
            trained=summary["model"]["trained"] if summary["model"] else None,
            unjudged=unjudged,
        )
        write_eaf(self._folder / "events.eaf", self.marks, self._video, picture.faces(), self._origin_s)
        write_timeline(self._folder / "timeline.png", picture)
        files.write_json(self._folder / "summary.json", summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._log.__exit__(kind, error, at)
        finally:
            if not any(self._folder.iterdir()):
                self._folder.rmdir()


def peak(window: window_pb2.ApexWindow) -> float:
    """The largest magnitude of any region between onset and offset, outer-eye distances."""
    times = np.array(window.curves.time_us)
    inside = (times >= window.onset.time_us) & (times <= window.offset.time_us)
    curves = np.array([curve.magnitude for curve in window.curves.curves])
    return float(curves[:, inside].max(initial=0)) if curves.size and curves.shape[1] == len(times) else 0.0
