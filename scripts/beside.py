"""Truth beside what was found, for a video whose expressions are known: `python -m scripts.beside LABELS EVENTS`.

LABELS: the .json that `microex synth videos` writes; EVENTS: the events.jsonl of `microex analyze`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.lab.metrics import Span, match

_SIDES = {"left": "L", "right": "R", "both": ""}


def pairs(labels: Mapping[str, Any], found: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """(label or None, event or None), in the order of time; a pair shares half of the time that either fills (IoU)."""
    truths = labels["events"]
    matched = match([_span(each, "") for each in truths], [_span(each, "_frame") for each in found])
    both: list[tuple[Any, Any]] = [(truths[i], found[j]) for i, j in matched]
    hit, used = {i for i, _ in matched}, {j for _, j in matched}
    both += [(each, None) for i, each in enumerate(truths) if i not in hit]
    both += [(None, each) for j, each in enumerate(found) if j not in used]
    return sorted(both, key=lambda pair: pair[0]["onset"] if pair[0] else pair[1]["onset_frame"])


def table(labels: Mapping[str, Any], found: list[dict[str, Any]]) -> Table:
    """One row a pair; times in seconds."""
    shown = Table(title="Known expressions, and what was found of them", header_style="bold", box=None)
    for column in ("truth, s", "kind", "emotion", "AUs", "found, s", "kind", "emotion", "AUs"):
        shown.add_column(column)
    for truth, event in pairs(labels, found):
        shown.add_row(*_truth(truth, labels["fps"]), *_event(event))
    return shown


def _span(each: Mapping[str, Any], suffix: str) -> Span:
    return Span(each[f"onset{suffix}"], each[f"offset{suffix}"] + 1)


def _truth(truth: Mapping[str, Any] | None, fps: float) -> tuple[str, ...]:
    if truth is None:
        return "-", "", "", ""
    aus = " ".join(f"{_SIDES[au['side']]}{au['au'][2:]} ({au['intensity']:.2f})" for au in truth["aus"])
    return f"{truth['onset'] / fps:.2f}-{truth['offset'] / fps:.2f}", truth["kind"], truth["emotion"], aus


def _event(event: Mapping[str, Any] | None) -> tuple[str, ...]:
    if event is None:
        return "missed", "", "", ""
    aus = " ".join(f"{_SIDES[au['side']]}{au['au'][2:]} ({au['intensity']:.2f})" for au in event["aus"] if au["active"])
    span = f"{event['onset_s']:.2f}-{event['offset_s']:.2f}"
    return span, event["kind"], event["emotion"]["label"], aus


if __name__ == "__main__":
    known, events = (Path(argument).read_text("utf-8") for argument in sys.argv[1:3])
    Console().print(table(json.loads(known), [json.loads(line) for line in events.splitlines()]))
