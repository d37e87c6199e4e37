"""What was found in labelled recordings against what is labelled: counts, errors, and where false alarms come from.

Intervals match at IoU >= 0.5; counts are summed over all recordings, those without an expression too (MEGC).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.lab import bootstrap, metrics, recognised
from services.lab.datasets.emotions import THREE_CLASSES
from services.lab.metrics import Span, Spotted
from services.lab.recognised import Recognised
from services.lab.recordings import Recording, Truth

KINDS: Final = ("micro", "macro")

AMPLITUDES: Final = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
"""Edges of the bins that recall is broken down by: largest AU intensity of an expression."""


@dataclass(frozen=True)
class Found:
    """One window. decided_s: stream time at which it was emitted. emotion, probabilities (of THREE_CLASSES) and active
    (codes of AUs): what the recognizer says, None or nothing while it is untrained.

    cause: what else happened meanwhile, by what was measured on the face; matters only for a false alarm.
    """

    kind: str
    start_s: float
    apex_s: float
    end_s: float
    decided_s: float
    emotion: str | None
    cause: str
    probabilities: Sequence[float] | None = None
    active: Sequence[str] = ()

    @property
    def span(self) -> Span:
        return Span(self.start_s, self.end_s)


@dataclass(frozen=True)
class Watched:
    """What came of one recording. seconds: its length; with_face: frames in which a face was measured; baselines: what
    each of them found, as (kind, start, end) in seconds."""

    seconds: float
    frames: int
    with_face: int
    found: tuple[Found, ...]
    dismissed: Mapping[str, int] = field(default_factory=dict)
    baselines: Mapping[str, tuple[tuple[str, float, float], ...]] = field(default_factory=dict)


def score(recordings: Sequence[Recording], watched: Sequence[Watched]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The numbers of the report, and a row for every labelled and every found expression."""
    own = [[(found.kind, found.span) for found in seen.found] for seen in watched]
    kinds = {kind: _of_kind(recordings, own, kind) for kind in KINDS}
    any_kind, rows = Spotted(), list[dict[str, Any]]()
    for recording, seen in zip(recordings, watched, strict=True):
        any_kind += _counts([truth.span for truth in recording.truths], [found.span for found in seen.found])
        rows += _rows(recording, seen)
    minutes = sum(seen.seconds for seen in watched) / 60
    alarms = [row for row in rows if row["found_kind"] == "micro" and row["labelled_kind"] != "micro"]
    causes = Counter(row["cause"] for row in alarms)
    hits = [row for row in rows if row["found"] and row["labelled"]]
    sums = {kind: sum(counts, Spotted()) for kind, counts in kinds.items()}
    totals = {**sums, "all": sums["micro"] + sums["macro"], "any kind": any_kind}
    intervals = {kind: {"f1_interval": _interval(counts)} for kind, counts in kinds.items()}
    return {
        "kinds": {name: spotted.scores() | intervals.get(name, {}) for name, spotted in totals.items()},
        "baselines": _baselines(recordings, watched),
        "recordings": len(recordings),
        "minutes": minutes,
        "frames": sum(seen.frames for seen in watched),
        "frames_with_face": sum(seen.with_face for seen in watched),
        "false_alarms_per_minute": len(alarms) / minutes if minutes else 0.0,
        "false_alarms_per_minute_by_cause": {name: n / minutes for name, n in causes.most_common()} if minutes else {},
        "recall_by_amplitude": _recall(rows),
        "errors_ms": {moment: _spread([row[f"{moment}_error_ms"] for row in hits]) for moment in _MOMENTS},
        "delay_s": {"after_apex": _spread([row["delay_after_apex_s"] for row in rows if row["found"]]),
                    "after_offset": _spread([row["delay_after_offset_s"] for row in rows if row["found"]])},
        "dismissed": dict(sum((Counter(seen.dismissed) for seen in watched), Counter())),
        "strs": _strs(hits, any_kind),
        "recognition": recognised.scores(_recognised(recordings, watched)),
    }, rows  # fmt: skip


_MOMENTS: Final = ("onset", "apex", "offset")


def _of_kind(recordings: Sequence[Recording], found: Sequence[Sequence[tuple[str, Span]]], kind: str) -> list[Spotted]:
    """Counts of each recording."""
    return [
        _counts([truth.span for truth in recording.truths if truth.kind == kind],
                [span for said, span in each if said == kind])
        for recording, each in zip(recordings, found, strict=True)
    ]  # fmt: skip


def _counts(truths: Sequence[Span], found: Sequence[Span]) -> Spotted:
    hits = len(metrics.match(truths, found))
    return Spotted(hits, len(found) - hits, len(truths) - hits)


def _interval(counts: Sequence[Spotted]) -> dict[str, float] | None:
    """Of F1, at bootstrap.LEVEL, over recordings; None of one, which says nothing of others."""
    if len(counts) < 2:
        return None
    table = np.array([[each.tp, each.fp, each.fn] for each in counts])
    low, high = bootstrap.interval(table, 0, _f1)
    return {"low": low, "high": high}


def _f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """[...] of [..., 3] true positives, false positives and false negatives."""
    whole = 2 * counts[..., 0] + counts[..., 1] + counts[..., 2]
    return np.asarray(2 * counts[..., 0] / np.maximum(whole, 1), np.float64)


def _baselines(recordings: Sequence[Recording], watched: Sequence[Watched]) -> dict[str, Any]:
    """Scores of each baseline that every recording was given to, by kind."""
    names = [name for name in watched[0].baselines if all(name in seen.baselines for seen in watched)]
    minutes = sum(seen.seconds for seen in watched) / 60
    report = {}
    for name in names:
        found = [[(kind, Span(start, end)) for kind, start, end in seen.baselines[name]] for seen in watched]
        kinds = {kind: _of_kind(recordings, found, kind) for kind in KINDS}
        report[name] = {
            kind: sum(counts, Spotted()).scores() | {"f1_interval": _interval(counts)} for kind, counts in kinds.items()
        } | {"false_alarms_per_minute": sum(each.fp for each in kinds["micro"]) / minutes if minutes else 0.0}
    return report


def _rows(recording: Recording, seen: Watched) -> list[dict[str, Any]]:
    pairs = _pairs(recording.truths, seen.found)
    rows = [_row(recording, recording.truths[i], seen.found[j]) for i, j in pairs]
    hit, used = {i for i, _ in pairs}, {j for _, j in pairs}
    rows += [_row(recording, truth, None) for i, truth in enumerate(recording.truths) if i not in hit]
    rows += [_row(recording, None, found) for j, found in enumerate(seen.found) if j not in used]
    return sorted(rows, key=lambda row: row["labelled_onset_s"] if row["labelled"] else row["found_onset_s"])


def _pairs(truths: Sequence[Truth], found: Sequence[Found]) -> list[tuple[int, int]]:
    """Those of one kind first; then what is left, such as a macro-expression that was called micro."""
    pairs: list[tuple[int, int]] = []
    for kinds in (("micro",), ("macro",), KINDS):
        left = [i for i, truth in enumerate(truths) if truth.kind in kinds and i not in dict(pairs)]
        taken = {j for _, j in pairs}
        free = [j for j, each in enumerate(found) if each.kind in kinds and j not in taken]
        pairs += [
            (left[i], free[j]) for i, j in metrics.match([truths[i].span for i in left], [found[j].span for j in free])
        ]
    return pairs


def _row(recording: Recording, truth: Truth | None, found: Found | None) -> dict[str, Any]:
    row: dict[str, Any] = {"recording": recording.name, "labelled": truth is not None, "found": found is not None}
    row |= dict.fromkeys(("cause", *(f"{moment}_error_ms" for moment in _MOMENTS)))
    row |= _columns("labelled", truth) | _columns("found", found)
    row["amplitude"] = truth.amplitude if truth else None
    row["delay_after_apex_s"] = found.decided_s - found.apex_s if found else None
    row["delay_after_offset_s"] = found.decided_s - found.end_s if found else None
    if truth and found:
        for moment in _MOMENTS:
            right, said = row[f"labelled_{moment}_s"], row[f"found_{moment}_s"]
            row[f"{moment}_error_ms"] = None if right is None else (said - right) * 1000
    if found and not (truth and truth.kind == found.kind):
        row["cause"] = _why(recording, found)
    return row


def _columns(prefix: str, what: Truth | Found | None) -> dict[str, Any]:
    return {
        f"{prefix}_kind": what and what.kind,
        f"{prefix}_onset_s": what and what.span.start,
        f"{prefix}_apex_s": what and what.apex_s,
        f"{prefix}_offset_s": what and what.span.end,
        f"{prefix}_emotion": what and what.emotion,
    }


def _why(recording: Recording, found: Found) -> str:
    """Where a false alarm comes from: an expression with other borders, a labelled distractor, or what was measured."""
    if any(truth.span.iou(found.span) > 0 for truth in recording.truths):
        return "borders"
    labelled = [(span.iou(found.span), kind) for kind, span in recording.distractors]
    overlap, kind = max(labelled, default=(0.0, ""))
    return kind if overlap > 0 else found.cause


def _recall(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = [row for row in rows if row["labelled"] and row["amplitude"] is not None]
    bins = []
    for low, high in pairwise(AMPLITUDES):
        inside = [row for row in known if low < row["amplitude"] <= high]
        if inside:
            share = sum(row["found"] for row in inside) / len(inside)
            bins.append({"above": low, "up_to": high, "n": len(inside), "recall": share})
    return bins


def _spread(values: Sequence[float | None]) -> dict[str, float | int] | None:
    """Median, median of the absolute, and the middle nine tenths; None for nothing."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    low, middle, high = np.quantile(known, (0.05, 0.5, 0.95))
    return {"n": len(known), "median": float(middle), "median_absolute": float(np.median(np.abs(known))),
            "low": float(low), "high": float(high)}  # fmt: skip


def _recognised(recordings: Sequence[Recording], watched: Sequence[Watched]) -> list[Recognised]:
    """What was found of the labelled expressions; recordings stand for persons."""
    both = []
    for recording, seen in zip(recordings, watched, strict=True):
        pairs = metrics.match([truth.span for truth in recording.truths], [found.span for found in seen.found])
        both += [(recording.name, recording.truths[i], seen.found[j]) for i, j in pairs]
    return [
        Recognised(name, truth.emotion, truth.aus, tuple(found.probabilities), tuple(found.active))
        for name, truth, found in both
        if truth.emotion in THREE_CLASSES and found.probabilities is not None
    ]


def _strs(hits: Sequence[Mapping[str, Any]], spotted: Spotted) -> float | None:
    """None where emotions are not labelled, or the recognizer is untrained."""
    pairs = [(row["labelled_emotion"], row["found_emotion"]) for row in hits]
    known = [(THREE_CLASSES.index(right), THREE_CLASSES.index(said)) for right, said in pairs
             if right in THREE_CLASSES and said in THREE_CLASSES]  # fmt: skip
    if not known:
        return None
    truth, said = zip(*known, strict=True)
    return metrics.strs(spotted, metrics.confusion(truth, said, len(THREE_CLASSES)))
