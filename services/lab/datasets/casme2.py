"""CASME II (Yan et al., PLoS ONE 2014): 255 clips of 26 subjects at 200 frames a second.

Sheet: Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Action Units, Estimated Emotion. Copies of 7, 9 and 10
columns circulate. Frames: `sub01/EP02_01f/img46.jpg` or `reg_img46.jpg`, under their numbers in the recording.
Traps: subject 1 for 01; "/" for an apex that nobody found; one offset that lies before its apex.
"""

from pathlib import Path
from typing import Final

from services.lab.datasets.clip import Clip
from services.lab.datasets.coded import coded
from services.lab.datasets.folders import Folders
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "casme2"
FPS: Final = 200.0

COLUMNS: Final[Columns] = {
    "subject": ("Subject",),
    "name": ("Filename",),
    "onset": ("OnsetFrame", "Onset"),
    "apex": ("ApexFrame", "Apex", "ApexFrame1"),
    "offset": ("OffsetFrame", "Offset"),
    "emotion": ("Estimated Emotion", "Emotion"),
}
AUS: Final[Columns] = {"aus": ("Action Units", "AU", "AUs", "ActionUnit")}


def read(root: Path) -> list[Clip]:
    """All clips. Raises Poison, naming file and row, for what cannot be read."""
    folders = Folders(root)
    return [_clip(row, folders) for row in find_rows(root, COLUMNS, AUS)]


def _clip(row: Row, folders: Folders) -> Clip:
    subject = row.text("subject").casefold().removeprefix("sub").zfill(2)
    name, emotion = row.text("name"), row.text("emotion").casefold()
    return coded(
        row, NAME, subject, name, folders.find(name, (f"sub{subject}", subject), row), FPS, emotion, trust_apex=True
    )
