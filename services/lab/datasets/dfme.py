"""DFME (Zhao et al., IEEE TAC 2023): 7,526 clips of 656 subjects at 200, 300 and 500 frames a second.

Sheets, one or several: Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Emotion, EmotionId, Fps, AU. A folder of
frames for each clip, named by Filename.
Traps: the frame rate differs by row; Emotion may be blank beside an EmotionId; AU cells hold AD38 and M57.
"""

from pathlib import Path
from typing import Final

from services.lab.datasets.clip import Clip
from services.lab.datasets.coded import coded
from services.lab.datasets.emotions import three_class
from services.lab.datasets.folders import Folders
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "dfme"

EMOTION_IDS: Final = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

COLUMNS: Final[Columns] = {
    "subject": ("Subject",),
    "name": ("Filename",),
    "onset": ("OnsetFrame", "Onset"),
    "apex": ("ApexFrame", "Apex"),
    "offset": ("OffsetFrame", "Offset"),
    "fps": ("Fps", "FrameRate"),
}
OPTIONAL: Final[Columns] = {
    "emotion": ("Emotion",),
    "emotion_id": ("EmotionId",),
    "aus": ("AU", "AUs", "Action Units"),
}


def read(root: Path) -> list[Clip]:
    """All clips of all sheets. Raises Poison, naming file and row, for what cannot be read."""
    folders = Folders(root)
    return [_clip(row, folders) for row in find_rows(root, COLUMNS, OPTIONAL, several=True)]


def _clip(row: Row, folders: Folders) -> Clip:
    subject, name, emotion = row.text("subject"), row.text("name"), _emotion(row)
    return coded(
        row, NAME, subject, name, folders.find(name, (subject,), row, names_unique=True), row.number_in("fps"), emotion
    )


def _emotion(row: Row) -> str:
    said, number = row.maybe("emotion"), row.maybe("emotion_id")
    if number is None:
        return row.text("emotion").casefold()
    if number not in {str(i) for i in range(len(EMOTION_IDS))}:
        raise row.fault("EmotionId is none of 0 to 6", cell=number)
    meant = EMOTION_IDS[int(number)]
    if said is not None and three_class(said) != three_class(meant):
        raise row.fault("Emotion and EmotionId disagree: correct one", emotion=said, emotion_id=number)
    return meant if said is None else said.casefold()
