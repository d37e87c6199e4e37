"""4DME (Li et al., IEEE TAC 2022), grey videos: 267 micro-expressions at 60 frames a second.

Sheet: sub_ID, fold_name, Emotion, Onset, Apex, Offset, AUs, and a column for each of 22 AUs. A folder of frames for
each clip, named by fold_name.
Traps: a clip may carry several emotions (kept when they fall into one class); AUs in brackets do not count; where the
AUs cell is blank, the columns tell.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from services.lab.datasets.aus import AuCell, parse_aus, without_brackets
from services.lab.datasets.clip import Clip
from services.lab.datasets.coded import coded
from services.lab.datasets.folders import Folders
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "4dme"
FPS: Final = 60.0

COLUMNS: Final[Columns] = {
    "subject": ("sub_ID", "Subject"),
    "name": ("fold_name", "Filename"),
    "emotion": ("Emotion",),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
}
OPTIONAL: Final[Columns] = {"aus": ("AUs",)} | {f"AU{number}": (f"AU{number}",) for number in range(1, 47)}


def read(root: Path) -> list[Clip]:
    """All clips. Raises Poison, naming file and row, for what cannot be read."""
    folders = Folders(root)
    return [_clip(row, folders) for row in find_rows(root, COLUMNS, OPTIONAL)]


def _clip(row: Row, folders: Folders) -> Clip:
    subject, name, emotion = row.text("subject"), row.text("name"), row.text("emotion").casefold()
    return replace(
        coded(
            row,
            NAME,
            subject,
            name,
            folders.find(name, (subject, f"sub{subject}"), row, names_unique=True),
            FPS,
            emotion,
        ),
        aus=_aus(row),
    )


def _aus(row: Row) -> AuCell | None:
    cell = row.maybe("aus")
    if cell is not None:
        return parse_aus(without_brackets(cell) or "none")
    columns = {name: text for name, text in row.cells.items() if re.fullmatch(r"AU\d+", name)}
    if not any(columns.values()):
        return None
    return parse_aus("+".join(name for name, text in columns.items() if text not in ("", "0")) or "none")
