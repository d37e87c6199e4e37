"""SAMM Long Videos (Yap et al., FG 2020): 147 recordings of 30 subjects at 200 frames a second, 502 expressions, 159 of
them micro.

Sheet: text, then on row 10 Subject, Filename, Inducement Code, Onset, Apex, Offset, Duration, Type, Action Units,
Notes. Emotions are those of SAMM's own sheet, joined on Filename, where that lies in the same folder. Frames:
`006_1/006_1_0001.jpg`.
Traps: "Micro - 1/2" and "Macro"; -1 for an apex; frame numbers with a fraction in 143 rows; the people are SAMM's, so
that both sets together must not put one of them on both sides.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from services.common.errors import Fatal
from services.lab.datasets import samm
from services.lab.datasets.aus import parse_aus
from services.lab.datasets.clip import Clip, Interval, LongVideo
from services.lab.datasets.emotions import five_class, three_class
from services.lab.datasets.folders import Folders, frame_files, ordered
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "samm-lv"
FPS: Final = 200.0

COLUMNS: Final[Columns] = {
    "subject": ("Subject",),
    "name": ("Filename",),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
    "type": ("Type",),
}

_VIDEO: Final = re.compile(r"\d{3}_\d+")


def read(root: Path) -> list[Clip]:
    """The micro-expressions as clips. Raises Fatal without SAMM's own sheet, which alone knows their emotions."""
    clips = [clip for video in read_long(root) for clip in video.clips()]
    if not any(clip.emotion for clip in clips):
        raise Fatal("emotions are in SAMM's own sheet: put it beside that of the long videos", folder=str(root))
    return clips


def read_long(root: Path) -> list[LongVideo]:
    """All recordings, those without any expression as well. Raises Poison, naming file and row."""
    emotions = _emotions(root)
    folders = Folders(root)
    videos = {folder.name: folder for folder in folders if _VIDEO.fullmatch(folder.name)}
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in find_rows(root, COLUMNS, samm.AUS, without=samm.COLUMNS["emotion"]):
        video = "_".join(samm.file_name(row.text("name")).split("_")[:2])
        rows[video].append(row)
        if video not in videos:
            raise row.fault("the recording of this row is missing: add its folder, or delete the row", folder=video)
    if not videos:
        raise Fatal("no folders named like 006_1: let --root be the folder that holds them", folder=str(root))
    return [
        LongVideo(
            NAME,
            name[:3],
            name,
            folder,
            FPS,
            tuple(_interval(row, emotions, max(frame_files(folder))) for row in rows[name]),
            samm.NAME,
        )
        for name, folder in sorted(videos.items())
    ]


def _emotions(root: Path) -> dict[str, str]:
    """Filename to emotion, from SAMM's own sheet; empty when it is not there."""
    if root.is_file():
        return {}
    try:
        rows = find_rows(root, samm.COLUMNS)
    except Fatal:
        return {}
    return {samm.file_name(row.text("name")): row.text("emotion").casefold() for row in rows}


def _interval(row: Row, emotions: dict[str, str], last: int) -> Interval:
    said = row.text("type").casefold()
    if not said.startswith(("micro", "macro")):
        raise row.fault("type is neither Micro nor Macro", cell=row.cells["type"])
    emotion = emotions.get(samm.file_name(row.text("name")), "") if said.startswith("micro") else ""
    onset = row.frame("onset", fractional=True)
    apex, offset, repairs = ordered(
        onset, row.maybe_frame("apex", fractional=True), row.maybe_frame("offset", fractional=True)
    )
    return Interval(
        "micro" if said.startswith("micro") else "macro",
        onset,
        apex,
        last if offset is None else offset,
        emotion,
        three_class(emotion),
        five_class(NAME, emotion),
        parse_aus(row.cells.get("aus")),
        row.source,
        repairs,
    )
