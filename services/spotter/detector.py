"""One stream's detector: a face frame in, finished apex windows out. No I/O, no clock, no memory of what it emitted.

    FaceFrame ──read──> Face ──Signal──> Rows ──due──> Candidate ── 0.5 s later or once decayed ──judge──> window

Its state after frame t is a pure function of that stream's frames in (t - LOOK_BACK_S, t]: whoever replays those
arrives at the same state, and emits the same windows from there on.
"""

from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.spotter.candidate import Candidate, due
from services.spotter.constants import CONSTANTS as C
from services.spotter.constants import DETECTOR_VERSION, LOOK_BACK_S
from services.spotter.judge import Expression, Verdict, dismissed, judge
from services.spotter.reading import Face, read
from services.spotter.reason import Reason
from services.spotter.rows import SECOND, Rows
from services.spotter.signal import Sight, Signal
from services.spotter.window import build

__all__ = ["DETECTOR_VERSION", "LOOK_BACK_S", "Detector", "Step"]

_LOOK_BACK_US: Final = int(LOOK_BACK_S * SECOND)
_DELAY_US: Final = int(C.delay_s * SECOND)
_NEAREST_US: Final = int(C.nearest_s * SECOND)
_WAIT_US: Final = int(C.wait_s * SECOND)
_RISE_US: Final = int(C.rise_s * SECOND)


@dataclass(frozen=True, eq=False)
class Step:
    """What one message did.

    outcome: analysed, rejected (see reason), repeat (an index seen before) or end. windows: those that it decided.
    reason: why it was rejected: "blank", "geometry", "time" (that of the last frame) or "late" (an index passed over).
    time_us: of the frame, or of the stream's last one. verdicts: on all candidates that were looked at now, those that
    became windows among them.
    """

    outcome: Literal["analysed", "rejected", "repeat", "end"]
    time_us: int
    windows: list[window_pb2.ApexWindow] = field(default_factory=list)
    reason: str | None = None
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def dismissed(self) -> list[Reason]:
        """Why candidates looked at now are no expressions, one entry each."""
        return [verdict.reason for verdict in self.verdicts if verdict.reason is not None]


class Detector:
    """Detector of one stream. It holds 5.2 s of crops, up to 2 s of them decoded: under 3 MB at 30 frames/s."""

    def __init__(self, whole: bool) -> None:
        """whole: the stream is seen from its first message; else nothing is emitted until LOOK_BACK_S of stream time
        have been replayed, since until then the state may differ from what it would have been."""
        self._silent_until_us: int | None = None
        self._whole = whole
        self._forget()

    @property
    def emits(self) -> bool:
        """Whether what is found is emitted: not while the look-back is replayed."""
        newest_us = self._newest_us()
        return self._silent_until_us is None or (newest_us is not None and newest_us >= self._silent_until_us)

    def _forget(self) -> None:
        self._rows = Rows(int(C.rows_s * SECOND))
        self._signal = Signal(self._rows)
        self._open: list[Candidate] = []
        self._decayed: list[Candidate] = []
        self._likely: list[Expression] = []
        self._time_base = stream_pb2.TIME_BASE_UNSPECIFIED

    def step(self, message: frame_pb2.FaceFrame) -> Step:
        """Takes the stream's next message, of any order. Raises Poison, unchanged, for one that cannot be read."""
        face = read(message)
        if isinstance(face, frame_pb2.End):
            return self._finish(message)
        refused = self._refuse(face)
        if refused is not None:
            return refused
        past = self._begin(face, message)
        self._time_base = message.frame.time_base
        step = self._take(self._signal.see(face), message)
        if past is not None:
            step.windows[:0], step.verdicts[:0] = past.windows, past.verdicts
        return step

    def _take(self, sight: Sight, message: frame_pb2.FaceFrame) -> Step:
        """What was measured on the next frame, and what follows from it."""
        time_us, previous_us = int(sight.row["time_us"]), self._newest_us()
        self._signal.take(sight)
        if previous_us is not None:
            self._open += due(self._rows, previous_us - _DELAY_US, time_us - _DELAY_US)
        step = Step("analysed", time_us)
        self._decide(message, step)
        return step

    def magnitudes(self) -> NDArray[np.float32]:
        """Motion of each region of the last frame that was analysed, [regions] float32, outer-eye distances."""
        return self._signal.magnitudes()

    def _newest_us(self) -> int | None:
        return int(self._rows.times[-1]) if len(self._rows) else None

    def _refuse(self, face: Face) -> Step | None:
        """A step for a frame that is not analysed."""
        newest_us = self._newest_us()
        if newest_us is not None:
            indices = self._rows.table["index"]
            if face.index <= indices[-1]:
                known = face.index < indices[0] or face.index in indices
                return Step("repeat", face.time_us) if known else Step("rejected", face.time_us, reason="late")
            if 0 <= face.time_us - newest_us < _NEAREST_US:
                return Step("rejected", face.time_us, reason="time")
        return Step("rejected", face.time_us, reason=face.flaw) if face.flaw else None

    def _begin(self, face: Face, message: frame_pb2.FaceFrame) -> Step | None:
        """Starts afresh when the stream jumps; returns what comes of what was before, then."""
        newest_us, past = self._newest_us(), None
        if newest_us is not None and not 0 < face.time_us - newest_us <= _LOOK_BACK_US:
            past = self._finish(message)
        elif newest_us is None and not self._whole:
            self._silent_until_us = face.time_us + _LOOK_BACK_US
        self._whole = True
        return past

    def _decide(self, message: frame_pb2.FaceFrame, step: Step) -> None:
        """Judges the candidates whose time has come; fills `step`."""
        still_open, times, position = [], self._rows.times, self._rows.table["position"]
        for candidate in self._open:
            overdue = step.time_us - candidate.apex_us > _WAIT_US
            if candidate.brief:
                self._judge(candidate, message, step)
            elif not overdue and not candidate.is_back(times, position):
                still_open.append(candidate)
            else:
                self._close(candidate, message, step)
        self._open = still_open
        decayed_us, likely_us = step.time_us - _WAIT_US - _RISE_US, step.time_us - 2 * _RISE_US
        self._decayed = [candidate for candidate in self._decayed if candidate.apex_us > decayed_us]
        self._likely = [found for found in self._likely if found.apex_us > likely_us]
        if self._silent_until_us is not None and step.time_us < self._silent_until_us:
            step.windows.clear()
            step.verdicts.clear()

    def _close(self, candidate: Candidate, message: frame_pb2.FaceFrame, step: Step) -> None:
        """A long one that has come back, or never will."""
        peak, start_us = candidate.peak(self._rows)
        if peak.phase != "decayed":
            reason: Reason = "no_return" if peak.phase == "open" else peak.phase
            step.verdicts.append(dismissed(self._rows, candidate, reason))
            return
        self._decayed.append(candidate)
        # Of a movement that is held, the first peak that is no part of a larger one speaks for all.
        if any(
            start_us < other.apex_us < candidate.apex_us and other.peak(self._rows)[0].phase != "part"
            for other in self._decayed + self._open
        ):
            step.verdicts.append(dismissed(self._rows, candidate, "part"))
        else:
            self._judge(candidate, message, step)

    def _judge(self, candidate: Candidate, message: frame_pb2.FaceFrame, step: Step) -> None:
        verdict = judge(self._rows, candidate)
        if verdict.found is not None:
            if any(_shared(verdict.found, other) > C.shared for other in self._likely):
                step.verdicts.append(replace(verdict, reason="part", found=None))
            else:
                step.windows.append(self._window(verdict.found, message))
                step.verdicts.append(verdict)
            # Those that are part of another count too: what is remembered must not depend on what was before it.
            self._likely += [verdict.found] * verdict.brief
        else:
            step.verdicts.append(verdict)

    def _window(self, found: Expression, message: frame_pb2.FaceFrame) -> window_pb2.ApexWindow:
        return build(self._rows, found, message, self._time_base)

    def _finish(self, message: frame_pb2.FaceFrame) -> Step:
        """Judges what is past its apex and has decayed, emits nothing by guess, and forgets all. Nothing of it bears on
        what follows, so what follows is whole."""
        newest_us = self._newest_us()
        step = Step("end", newest_us if newest_us is not None else message.end.last_seen.time_us)
        if newest_us is not None:
            self._signal.finish()
            decayed, cut_off = list[Candidate](), list[Candidate]()
            for candidate in self._open + due(self._rows, newest_us - _DELAY_US, newest_us):
                (decayed if candidate.peak(self._rows)[0].phase == "decayed" else cut_off).append(candidate)
            self._open = decayed
            self._decide(message, step)
            if self.emits:
                cut_off += self._open
                step.verdicts.extend(dismissed(self._rows, candidate, "no_return") for candidate in cut_off)
        self._forget()
        self._whole, self._silent_until_us = True, None
        return step


def _shared(one: Expression, other: Expression) -> float:
    """Intersection over union of their times."""
    both = min(one.offset_us, other.offset_us) - max(one.onset_us, other.onset_us)
    return both / (max(one.offset_us, other.offset_us) - min(one.onset_us, other.onset_us))
