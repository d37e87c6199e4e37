"""SAMM (Davison et al., IEEE TAC 2018): 159 clips of 29 subjects at 200 frames a second.

Sheet: a page of text, then Subject, Filename, Inducement Code, Onset Frame, Apex Frame, Offset Frame, Duration, Micro,
Action Units, Estimated Emotion, Objective Classes, Notes. Frames: `006/006_1_2/006_05562.jpg`.
Traps: the header is on row 13, on row 1 in cleaned copies; -1 or blank for a missing apex; "or" in AU cells; a
spreadsheet that took 006 for the number 6.
"""

from pathlib import Path
from typing import Final

from services.lab.datasets.clip import Clip
from services.lab.datasets.coded import coded
from services.lab.datasets.folders import Folders
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "samm"
FPS: Final = 200.0

COLUMNS: Final[Columns] = {
    "subject": ("Subject",),
    "name": ("Filename",),
    "onset": ("Onset Frame", "Onset"),
    "apex": ("Apex Frame", "Apex"),
    "offset": ("Offset Frame", "Offset"),
    "emotion": ("Estimated Emotion", "Emotion"),
}
AUS: Final[Columns] = {"aus": ("Action Units", "AU", "AUs")}


def read(root: Path) -> list[Clip]:
    """All clips. Raises Poison, naming file and row, for what cannot be read."""
    folders = Folders(root)
    return [_clip(row, folders) for row in find_rows(root, COLUMNS, AUS)]


def file_name(text: str) -> str:
    """ "006_1_2", its leading zeros given back."""
    subject, separator, rest = text.partition("_")
    return subject.zfill(3) + separator + rest


def _clip(row: Row, folders: Folders) -> Clip:
    subject, name = row.text("subject").zfill(3), file_name(row.text("name"))
    emotion = row.text("emotion").casefold()
    return coded(row, NAME, subject, name, folders.find(name, (subject,), row), FPS, emotion)
