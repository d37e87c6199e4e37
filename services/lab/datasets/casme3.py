"""CAS(ME)3, part A (Li et al., IEEE TPAMI 2023): 860 micro-expressions of 94 subjects at 30 frames a second.

Sheets: Subject (spNO.1), Filename, Onset, Apex, Offset, AU, Objective class, emotion; one for micro-expressions
("…_ME_label…"), one for macro-expressions ("…_MaE_label…"). Frames: recordings `spNO.1/a/color/123.jpg`, or clips
`spNO.10_a_116/116.jpg` with the onset in their name.
Traps: "Others" and "others"; 55 rows whose apex is their onset; an onset of 0 where files begin at 1; 267 clips last
over 30 frames (they are micro by their rise, and stay).
"""

from pathlib import Path
from typing import Final

from services.common.errors import Fatal
from services.lab.datasets.aus import parse_aus
from services.lab.datasets.clip import Clip, Interval, Kind, LongVideo
from services.lab.datasets.coded import coded
from services.lab.datasets.emotions import five_class, three_class
from services.lab.datasets.folders import Folders, frame_files, ordered
from services.lab.datasets.sheets import Columns, Row, find_rows, sheet_files

NAME: Final = "casme3"
FPS: Final = 30.0

COLUMNS: Final[Columns] = {
    "subject": ("Subject",),
    "name": ("Filename",),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
    "emotion": ("emotion",),
}
AUS: Final[Columns] = {"aus": ("AU", "AUs", "Action Units")}


def read(root: Path) -> list[Clip]:
    """All micro-expressions. Raises Poison, naming file and row, for what cannot be read."""
    folders = Folders(root)
    return [_clip(row, folders) for row in _rows(root, "micro")]


def read_long(root: Path) -> list[LongVideo]:
    """All recordings with their micro- and macro-expressions; the sheet of macro-expressions may be absent."""
    folders = Folders(root)
    rows: list[tuple[Kind, Row]] = [("micro", row) for row in _rows(root, "micro")]
    rows += [("macro", row) for row in _rows(root, "macro")]
    found: dict[Path, list[tuple[Kind, Row]]] = {}
    for kind, row in rows:
        found.setdefault(_recording(row, folders), []).append((kind, row))
    for folder in folders:  # a recording in which nothing was found counts as well
        if folder.name == "color" and folder not in found:
            found[folder] = []
    return [_long(folder, coded) for folder, coded in sorted(found.items())]


def _rows(root: Path, kind: Kind) -> list[Row]:
    if root.is_file():
        return find_rows(root, COLUMNS, AUS) if kind == "micro" else []
    macro = [file for file in sheet_files(root) if "mae" in file.name.casefold()]
    if kind == "macro":
        return [row for file in macro for row in find_rows(file, COLUMNS, AUS)]
    micro = [file for file in sheet_files(root) if file not in macro and "part_c" not in file.name.casefold()]
    fitting = [file for file in micro if "_me_" in file.name.casefold()] or micro
    if len(fitting) != 1:
        raise Fatal(
            "needs exactly one sheet of micro-expressions (cas(me)3_part_A_ME_label….xlsx)",
            folder=str(root),
            sheets=[file.name for file in fitting],
        )
    return find_rows(fitting[0], COLUMNS, AUS)


def _subject(row: Row) -> str:
    number = row.text("subject").casefold().removeprefix("spno.")
    return f"spNO.{number}"


def _clip(row: Row, folders: Folders) -> Clip:
    subject, recording, emotion = _subject(row), row.text("name"), row.text("emotion").casefold()
    onset = row.frame("onset")
    name = f"{subject}_{recording}_{onset}"
    folder = folders.find(name, (), row, names_unique=True) if name in folders else _recording(row, folders)
    return coded(row, NAME, subject, f"{recording}@{onset}", folder, FPS, emotion)


def _recording(row: Row, folders: Folders) -> Path:
    folder = folders.find(row.text("name"), (_subject(row),), row)
    return folder / "color" if (folder / "color").is_dir() else folder


def _long(folder: Path, coded: list[tuple[Kind, Row]]) -> LongVideo:
    holder = folder.parent if folder.name == "color" else folder
    last = max(frame_files(folder))
    return LongVideo(
        NAME, holder.parent.name, holder.name, folder, FPS, tuple(_interval(kind, row, last) for kind, row in coded)
    )


def _interval(kind: Kind, row: Row, last: int) -> Interval:
    emotion, onset = row.text("emotion").casefold(), row.frame("onset")
    apex, offset, repairs = ordered(onset, row.maybe_frame("apex"), row.maybe_frame("offset"))
    return Interval(
        kind,
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
