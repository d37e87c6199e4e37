"""Whether a candidate is an expression, and if so, when it began, peaked and ended.

A judgement is a pure function of the rows: nothing is remembered of earlier ones. It rests on all measures together
(`likelihood.py`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.spotter import curve as shape
from services.spotter.candidate import Candidate
from services.spotter.constants import CONSTANTS as C
from services.spotter.likelihood import feet, likelihood, row_of, spoke_against
from services.spotter.matched import matched
from services.spotter.measures import Seen, measure
from services.spotter.reason import Reason
from services.spotter.rows import SECOND, Rows
from services.spotter.signal import REGION_MEAN

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Expression:
    """What was found.

    onset_us, apex_us, offset_us: first frame that differs from neutral, largest movement, last frame that differs; the
    offset may lie ahead of the newest frame. times_us: [n] of the measurements around it; magnitude: [n, regions],
    outer-eye distances; strength: [n], the movement along the apex's own direction, outer-eye distances.
    """

    onset_us: int
    apex_us: int
    offset_us: int
    times_us: NDArray[np.int64]
    magnitude: NDArray[np.float32]
    strength: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Verdict:
    """On one candidate.

    apex_us: of the candidate. brief: soon back where it came from. reason: why it is no expression, None when it is.
    likelihood: that it is one, None where a plain bound refused it. seen: its curve and measures, None where it was not
    even measured; course: its curve then, see `Candidate.course`. found: the expression, None with a reason.
    """

    apex_us: int
    brief: bool
    reason: Reason | None = None
    likelihood: float | None = None
    seen: Seen | None = None
    found: Expression | None = None
    course: tuple[Floats, Floats] | None = None


def dismissed(rows: Rows, candidate: Candidate, reason: Reason) -> Verdict:
    """Of one that is not measured."""
    return Verdict(candidate.apex_us, candidate.brief, reason, course=candidate.course(rows))


def judge(rows: Rows, candidate: Candidate) -> Verdict:
    """rows end at the frame of the decision."""
    seen = measure(rows, candidate)
    if not isinstance(seen, Seen):
        return dismissed(rows, candidate, seen)
    chance, reason = None, _bounds(seen, candidate.brief)
    if reason is None:
        seen = _filtered(seen) if candidate.brief else seen
        row = row_of(seen)
        chance = likelihood(row)
        reason = _doubt(seen, row, chance, candidate.brief)
        seen = _between_feet(seen, row) if candidate.brief and reason is None else seen
    found = reason or _placed(seen, candidate.brief)
    if isinstance(found, str):
        return Verdict(candidate.apex_us, candidate.brief, found, chance, seen)
    return Verdict(candidate.apex_us, candidate.brief, None, chance, seen, found)


def _bounds(seen: Seen, brief: bool) -> Reason | None:
    """What no likelihood makes up for."""
    found = seen.measures
    if brief and found.noise > C.noisiest:
        return _meanwhile(seen) or "noise"
    return _meanwhile(seen) or "shape" if found.likeness < C.likeness else None


def _filtered(seen: Seen) -> Seen:
    """The same, with what a filter of its shape says."""
    feet_s = (seen.onset_s, seen.offset_s)
    return replace(seen, matched=matched(seen.times, seen.moved, seen.apex, feet_s, seen.shut, seen.ignored))


def _doubt(seen: Seen, row: Floats, chance: float, brief: bool) -> Reason | None:
    """Of one that is not likely enough. row: its features, chance: its likelihood."""
    talks = seen.measures.mouth > C.talks
    asked = C.wary_likely if seen.hidden or talks else C.likely
    if chance >= (asked if brief else C.lasting_likely):
        return None
    return _meanwhile(seen) or ("speech" if talks and chance >= C.likely else spoke_against(row))


def _between_feet(seen: Seen, row: Floats) -> Seen:
    """The same, its feet where the trees see them."""
    rise, fall = feet(row)
    apex_s = float(seen.times[seen.apex])
    return replace(seen, onset_s=apex_s - rise, offset_s=apex_s + fall)


def _meanwhile(seen: Seen) -> Reason | None:
    """What else happened, the plainest first; what lids or hidden skin would have told, is missing."""
    found = seen.measures
    happened: dict[Reason, bool] = {
        "jump": found.jump > C.jump,
        "blink": seen.blinked,
        "occlusion": seen.hidden,
        "head": found.turn_deg > C.head_turn_deg,
        "light": found.light > C.light,
        "speech": found.talking > 0.5 and found.alone > C.alone_share,
    }
    return next((reason for reason, did in happened.items() if did), None)


def _placed(seen: Seen, brief: bool) -> Expression | Reason:
    """Its moments, from the curve along its own direction."""
    times, time_us, apex = seen.times, seen.table["time_us"], seen.apex
    if not 0 < apex < len(times) - 1 or shape.peak(seen.strength, apex).phase not in ("decayed", "open"):
        return "shape"
    frame_s = float(shape.middle(np.diff(times)))
    if brief and not seen.onset_s - frame_s <= 0 <= seen.offset_s + frame_s:
        return "part"  # it stands on the shoulder of another
    first = int(np.searchsorted(times, seen.onset_s + frame_s / 2))
    onset_us = int(time_us[min(first, apex - 1)])
    end_s = seen.offset_s - frame_s / 2
    last = int(np.searchsorted(times, end_s, "right")) - 1
    offset_us = int(time_us[max(last, apex + 1)])
    if end_s - times[-1] > frame_s:
        offset_us += int((end_s - times[-1]) * SECOND)
    lasts_s = (offset_us - onset_us) / SECOND
    if lasts_s < C.shortest_s - frame_s:
        return "short"
    if (lasts_s <= C.micro_s) != brief:
        return "shape"
    near = (times >= seen.onset_s - C.margin_s) & (times <= seen.offset_s + C.margin_s)
    lengths = np.sqrt((seen.moved[near] ** 2).sum(2))  # [n, R]
    return Expression(
        onset_us,
        int(time_us[apex]),
        offset_us,
        time_us[near].copy(),
        (lengths @ REGION_MEAN.T).astype(np.float32),
        seen.strength[near],
    )
