"""Where the frames of a clip lie, and which file is which frame number."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.common.errors import Fatal, Poison
from services.ingest.sources import IMAGES
from services.lab.datasets.sheets import Row

VIDEOS: Final = frozenset({".avi", ".mp4", ".mov", ".mkv"})


class Folders:
    """All folders under a root by name, found once; pictures are not looked at.

    Copies differ in what lies between root and clip ("Cropped/sub01/EP02_01f", "sub01/EP02_01f"), so a folder is known
    by its own name and that of the subject above it.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise Fatal("there is no such folder", folder=str(root))
        self._root = root
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for folder in _walk(root):
            self._by_name[folder.name.casefold()].append(folder)

    def __iter__(self) -> Iterator[Path]:
        return (folder for folders in self._by_name.values() for folder in folders)

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._by_name

    def find(self, name: str, subjects: tuple[str, ...], row: Row, names_unique: bool = False) -> Path:
        """The folder called `name` that has one of `subjects` above it.

        names_unique: no two subjects share a name, so that one without the subject above it serves as well.
        Raises Poison, naming the row, when there is none or more than one.
        """
        named = self._by_name.get(name.casefold(), [])
        wanted = {subject.casefold() for subject in subjects}
        found = [folder for folder in named if wanted & {part.casefold() for part in self._above(folder)}]
        found = found or (named if names_unique else [])
        if not found:
            raise row.fault(
                "the frames of this row are missing: add the folder, or delete the row",
                folder="/".join((*subjects[:1], name)),
                root=str(self._root),
            )
        if len(found) > 1:
            copies = sorted(str(folder.relative_to(self._root)) for folder in found)
            raise row.fault("several folders fit this row: let --root be the copy that is meant", folders=copies)
        return found[0]

    def _above(self, folder: Path) -> tuple[str, ...]:
        return folder.relative_to(self._root).parts[:-1]


def frame_files(folder: Path) -> dict[int, Path]:
    """Frame number to file: the last run of digits in a name ("reg_img46.jpg" is 46, "006_05562.jpg" 5562).

    Raises Poison for a folder without frames, or with two files of one number.
    """
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        digits = re.findall(r"\d+", file.stem)
        if file.suffix.lower() not in IMAGES or file.name.startswith(".") or not digits:
            continue
        number = int(digits[-1])
        if number in files:
            raise Poison(
                "two files are the same frame: keep one kind of picture in the folder",
                folder=str(folder),
                files=[files[number].name, file.name],
            )
        files[number] = file
    if not files:
        raise Poison("no frames in this folder", folder=str(folder))
    return dict(sorted(files.items()))


def clip_frames(folder: Path, onset: int | None, offset: int | None, source: str) -> dict[int, Path]:
    """The frames from onset to offset, under the numbers of the sheet.

    An unknown end is that of the folder. Numbers that begin one before the first file (a sheet that counts from 0) or
    end after the last lose what is not there. A folder that holds exactly as many files as the clip has frames, under
    other numbers, was renumbered by who cropped it, and is taken in order.
    Raises Poison, naming the row, when onset and folder do not fit.
    """
    files = frame_files(folder)
    numbers = list(files)
    first = numbers[0] if onset is None else onset
    last = numbers[-1] if offset is None else offset
    inside = {number: file for number, file in files.items() if first <= number <= last}
    if inside and next(iter(inside)) - first <= 1:
        return inside
    if len(files) == last - first + 1:
        return {first + i: file for i, file in enumerate(files.values())}
    raise Poison(
        "frames do not fit the sheet: its onset is not in the folder",
        source=source,
        folder=str(folder),
        onset=onset,
        offset=offset,
        first=numbers[0],
        last=numbers[-1],
    )


def ordered(
    onset: int, apex: int | None, offset: int | None, trust_apex: bool = False
) -> tuple[int | None, int | None, tuple[str, ...]]:
    """Apex and offset that make sense with the onset, and what had to be repaired.

    An offset before the onset is unknown: the clip then ends where its frames end. An apex outside the clip, or at its
    onset, where nothing has moved yet, is unknown: it is then found by the largest motion. trust_apex: where the apex
    lies after the offset, it is the offset that is wrong.
    """
    repairs = []
    if offset is not None and (offset < onset or (trust_apex and apex is not None and offset < apex)):
        repairs.append(f"offset {offset} lies before the {'onset' if offset < onset else 'apex'}: taken as unknown")
        offset = None
    if apex is not None and (apex <= onset or (offset is not None and apex > offset)):
        repairs.append(f"apex {apex} does not lie inside the clip: taken as unknown")
        apex = None
    return apex, offset, tuple(repairs)


def _walk(root: Path) -> Iterator[Path]:
    """Folders below root; what lies in a folder of pictures is looked at only for folders."""
    with os.scandir(root) as entries:
        folders = sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    for folder in folders:
        yield folder
        yield from _walk(folder)
