"""What timeline.png shows, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from microex.v1 import graph_pb2, window_pb2
from services.analyze.curves import Curve
from services.analyze.events import Mark
from services.analyze.names import face_numbers


@dataclass(frozen=True)
class Strongest:
    """The expression whose graph is drawn: what was found, what was said of it, and how far the face moved at most
    (outer-eye distances)."""

    window: window_pb2.ApexWindow
    graph: graph_pb2.AuGraph
    magnitude: float


@dataclass(frozen=True)
class Picture:
    """All that timeline.png shows.

    title, subtitle, footer: text of one line each. curves: track to motion. start_s, end_s: what the time axis spans,
    in the streams' time base. origin_s: what it counts from. trained: whether emotions and AUs mean anything; None when
    no model has spoken. unjudged: see `summary.unjudged`.
    """

    title: str
    subtitle: str
    footer: str
    curves: Mapping[str, Curve]
    marks: Sequence[Mark]
    strongest: Strongest | None
    start_s: float
    end_s: float
    origin_s: float = 0.0
    trained: bool | None = None
    unjudged: str | None = None

    def faces(self) -> dict[str, int]:
        """Track to the number of its face."""
        return face_numbers([*self.curves, *(mark.track for mark in self.marks)])

    def panels(self) -> list[list[str]]:
        """Tracks in order of appearance, spread over as few panels as it takes for no two in one to be there at the
        same time: as many panels as faces were seen at once."""
        faces = self.faces()
        spans = {track: (curve.time_s[0], curve.time_s[-1]) for track, curve in self.curves.items()}
        for mark in self.marks:
            first, last = spans.get(mark.track, (mark.onset_s, mark.offset_s))
            spans[mark.track] = (min(first, mark.onset_s), max(last, mark.offset_s))
        panels: list[list[str]] = []
        ends: list[float] = []
        for track, (first, last) in sorted(spans.items(), key=lambda item: (item[1][0], faces[item[0]])):
            free = next((i for i, end in enumerate(ends) if end < first), None)
            if free is None:
                panels.append([track])
                ends.append(last)
            else:
                panels[free].append(track)
                ends[free] = last
        return panels or [[]]
