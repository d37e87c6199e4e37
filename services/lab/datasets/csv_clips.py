"""A plain CSV for data sets without a reader of their own (NaME, or one's own recordings).

Columns: clip (folder of frames or video file, relative to the CSV), subject, fps, onset, apex, offset, emotion, aus.
Apex, offset and aus may be blank or absent; frames are numbered as in the file names, in a video from 0. The emotion is
one of the seven basic ones, repression, others, or negative, positive, surprise.
"""

from pathlib import Path
from typing import Final

from services.lab.datasets.clip import Clip
from services.lab.datasets.coded import coded
from services.lab.datasets.folders import VIDEOS
from services.lab.datasets.sheets import Columns, Row, find_rows

NAME: Final = "csv"

COLUMNS: Final[Columns] = {name: (name,) for name in ("clip", "subject", "fps", "onset", "emotion")}
OPTIONAL: Final[Columns] = {name: (name,) for name in ("apex", "offset", "aus")}


def read(root: Path) -> list[Clip]:
    """All clips. root: the CSV, or the folder that holds it. Raises Poison, naming file and row."""
    return [_clip(row) for row in find_rows(root, COLUMNS, OPTIONAL)]


def _clip(row: Row) -> Clip:
    name, emotion = row.text("clip"), row.text("emotion").casefold()
    path = row.file.parent / name
    if not (path.is_dir() or (path.is_file() and path.suffix.lower() in VIDEOS)):
        raise row.fault("clip is neither a folder of frames nor a video", clip=name)
    onset = row.frame("onset")
    return coded(row, NAME, row.text("subject"), f"{name}@{onset}", path, row.number_in("fps"), emotion)
