"""events.eaf: the expressions as tiers for ELAN (EAF 2.8, https://www.mpi.nl/tools/elan/EAF_Annotation_Format.pdf).

A face has three tiers: `kind` holds an annotation from onset to offset; `emotion` and `AUs` hang on it (symbolic
association), so that moving the boundary of an expression in ELAN moves its emotion and AUs along.
"""

import mimetypes
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

from pympi import Elan

from services.analyze.events import Mark
from services.analyze.files import whole

_SPAN: Final = "expression"
_OF_SPAN: Final = "of expression"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_eaf(
    path: Path, marks: Sequence[Mark], video: Path | None, faces: Mapping[str, int], origin_s: float = 0.0
) -> None:
    """Write one camera's expressions.

    video: what ELAN plays with it, by absolute address and relative path. faces: track to its number, those without an
    expression too. origin_s: seconds in the streams' time base that become ELAN's zero.
    """
    eaf = Elan.Eaf(author="microex")
    eaf.remove_tier("default")
    eaf.remove_linguistic_type("default-lt")
    eaf.add_linguistic_type(_SPAN)
    eaf.add_linguistic_type(_OF_SPAN, "Symbolic_Association", timealignable=False)
    if video is not None:
        _link(eaf, video, path.parent)
    shown = {mark.track for mark in marks}
    for track in sorted(shown, key=faces.__getitem__) or [""]:
        face = sorted((mark for mark in marks if mark.track == track), key=lambda mark: mark.onset_s)
        named = f" face {faces[track]}" if track and len(faces) > 1 else ""
        for lane, apart in enumerate(lanes(face, origin_s), 1):
            _add_tiers(eaf, f"{named} overlap {lane}" if lane > 1 else named, track, apart, origin_s)
    _sort_time_slots(eaf)
    with whole(path) as part:
        Elan.to_eaf(part, eaf)


def span_ms(mark: Mark, origin_s: float) -> tuple[int, int]:
    """Onset and offset in ELAN's whole milliseconds: never before zero, never without length."""
    start = max(0, round((mark.onset_s - origin_s) * 1000))
    return start, max(start + 1, round((mark.offset_s - origin_s) * 1000))


def lanes(marks: Iterable[Mark], origin_s: float) -> list[list[Mark]]:
    """Marks in order of onset, spread over as few lists as it takes for none to overlap in its list: annotations of a
    tier must not. One list at the least."""
    result: list[list[Mark]] = [[]]
    ends: list[int] = [0]
    for mark in marks:
        start, end = span_ms(mark, origin_s)
        free = next((i for i, last in enumerate(ends) if last <= start), None)
        if free is None:
            result.append([mark])
            ends.append(end)
        else:
            result[free].append(mark)
            ends[free] = end
    return result


def address(video: PurePath) -> str:
    """The absolute address that ELAN opens: it takes what follows "file://" for a path as it stands, "%20" for three
    characters of a name."""
    path = _xml(video.as_posix())
    return f"file://{path}" if path.startswith("/") else f"file:///{path}"


def _link(eaf: Any, video: Path, folder: Path) -> None:
    relative = Path(os.path.relpath(video.resolve(), folder.resolve())).as_posix()
    eaf.add_linked_file(
        address(video.resolve()),
        relpath=_xml(relative if relative.startswith("../") else f"./{relative}"),
        mimetype=mimetypes.guess_type(video.name)[0] or "unknown",  # ELAN's own word for it
    )


def _add_tiers(eaf: Any, suffix: str, track: str, marks: Iterable[Mark], origin_s: float) -> None:
    kind, emotion, aus = (f"{name}{suffix}" for name in ("kind", "emotion", "AUs"))
    eaf.add_tier(kind, _SPAN, part=track or None)
    for tier in (emotion, aus):
        eaf.add_tier(tier, _OF_SPAN, parent=kind, part=track or None)
    for mark in marks:
        start, end = span_ms(mark, origin_s)
        eaf.add_annotation(kind, start, end, mark.kind)
        # pympi finds the parent by a time: its middle lies in no neighbour.
        middle = (start + end) / 2
        eaf.add_ref_annotation(emotion, kind, middle, _xml(mark.emotion))
        eaf.add_ref_annotation(aus, kind, middle, " + ".join(mark.aus) or "none")


def _sort_time_slots(eaf: Any) -> None:
    # EAF lists time slots in order of time; pympi numbers them in order of making.
    ordered = sorted(eaf.timeslots.items(), key=lambda slot: slot[1])
    new = {old: f"ts{number}" for number, (old, _) in enumerate(ordered, 1)}
    eaf.timeslots = {new[old]: time for old, time in ordered}
    for aligned, *_ in eaf.tiers.values():
        for name, (start, end, value, svg) in aligned.items():
            aligned[name] = (new[start], new[end], value, svg)


def _xml(text: str) -> str:
    """Text without what XML 1.0 cannot hold."""
    return _NO_XML.sub("\ufffd", text)
