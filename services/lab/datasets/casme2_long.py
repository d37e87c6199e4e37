"""CAS(ME)2 (Qu et al., IEEE TAC 2018): 98 recordings of 22 subjects at 30 frames a second, 357 expressions, 57 of them
micro.

Workbook of three pages without headers: expressions (subject index, "anger1_1", onset, apex, offset, AUs, class,
type, emotion), "naming rule1" (…, "s15", index) and "naming rule2" ("0502", "anger1"). Frames:
`s15/15_0502anger1/img001.jpg`.
Traps: an offset of 0 in 44 rows (the video's end); an apex after its offset in 3; "happyiness".
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from services.common.errors import Fatal
from services.lab.datasets.aus import parse_aus
from services.lab.datasets.clip import Clip, Interval, Kind, LongVideo
from services.lab.datasets.emotions import emotions, three_class
from services.lab.datasets.folders import Folders, frame_files, ordered
from services.lab.datasets.sheets import Row, Table, read_tables, sheet_files

NAME: Final = "casme2-long"
FPS: Final = 30.0

COLUMNS: Final = ("subject", "name", "onset", "apex", "offset", "aus", "class", "type", "emotion")

_VIDEO: Final = re.compile(r"(\d+)_(\d{4}).*")


def read(root: Path) -> list[Clip]:
    """The micro-expressions as clips."""
    return [clip for video in read_long(root) for clip in video.clips()]


def read_long(root: Path) -> list[LongVideo]:
    """All recordings, those without any expression as well. Raises Poison, naming file and row."""
    expressions, subjects, stimuli = _workbook(root)
    videos = _videos(root)
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in expressions:
        key = (_looked_up(row, subjects, row.text("subject")), _looked_up(row, stimuli, row.text("name").split("_")[0]))
        if key not in videos:
            raise row.fault(
                "the recording of this row is missing: add its folder, or delete the row",
                folder=f"s{key[0]}/{key[0]}_{key[1]}…",
            )
        rows[key].append(row)
    return [
        LongVideo(
            NAME,
            f"s{subject}",
            folder.name,
            folder,
            FPS,
            tuple(_interval(row, max(frame_files(folder))) for row in rows[subject, code]),
        )
        for (subject, code), folder in sorted(videos.items())
    ]


def _workbook(root: Path) -> tuple[list[Row], dict[str, str], dict[str, str]]:
    """Rows of the first page; subject index to number, as text; stimulus to code of four digits."""
    if not root.is_dir():
        raise Fatal("there is no such folder", folder=str(root))
    for file in sheet_files(root):
        pages = {re.sub(r"\W", "", page.page.casefold()): page for page in read_tables(file)}
        if {"namingrule1", "namingrule2"} <= set(pages):
            expressions = next(page for name, page in pages.items() if not name.startswith("namingrule"))
            subjects = {row[2]: _digits(row[1]) for row in pages["namingrule1"].rows if len(row) > 2 and row[2]}
            stimuli = {row[1]: row[0].zfill(4) for row in pages["namingrule2"].rows if len(row) > 1 and row[1]}
            return _rows(expressions), subjects, stimuli
    raise Fatal(
        "no workbook with the pages 'naming rule1' and 'naming rule2' (CAS(ME)^2code_final.xlsx)", folder=str(root)
    )


def _rows(page: Table) -> list[Row]:
    return [
        Row(page.file, number, dict(zip(COLUMNS, cells, strict=False)))
        for number, cells in enumerate(page.rows, 1)
        if len(cells) >= 8 and cells[0].isdigit()
    ]


def _videos(root: Path) -> dict[tuple[str, str], Path]:
    """(subject's number, stimulus's code) to its folder of frames."""
    found: dict[tuple[str, str], Path] = {}
    for folder in Folders(root):
        match = _VIDEO.fullmatch(folder.name)
        if match is None or _digits(folder.parent.name) != match[1]:
            continue
        if match.group(1, 2) in found:
            raise Fatal(
                "two copies of one recording: let --root be the one that is meant",
                folders=sorted([str(found[match[1], match[2]]), str(folder)]),
            )
        found[match[1], match[2]] = folder
    if not found:
        raise Fatal("no folders named like s15/15_0502…: let --root be the folder that holds them", folder=str(root))
    return found


def _interval(row: Row, last: int) -> Interval:
    kind, said = row.text("type").casefold().partition("-")[0], row.text("class")
    if kind not in ("micro", "macro"):
        raise row.fault("type is neither micro-expression nor macro-expression", cell=row.cells["type"])
    onset = row.frame("onset")
    end = row.maybe_frame("offset")
    apex, offset, repairs = ordered(onset, row.maybe_frame("apex"), None if end == 0 else end)
    if end == 0:
        repairs = ("offset 0: taken as the end of the recording", *repairs)
    return Interval(
        _kind(kind),
        onset,
        apex,
        last if offset is None else offset,
        emotions(row.maybe("emotion") or said)[0],
        three_class(said),
        None,
        parse_aus(row.cells.get("aus")),
        row.source,
        repairs,
    )


def _kind(text: str) -> Kind:
    return "micro" if text == "micro" else "macro"


def _looked_up(row: Row, table: dict[str, str], key: str) -> str:
    if key not in table:
        raise row.fault("not on the pages of naming rules", cell=key, known=sorted(table)[:30])
    return table[key]


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())
