"""Names of cameras and folders: from names of files, fit for stream keys and file systems, never twice the same; and
numbers of faces."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_UNFIT = re.compile(r"[/\x00-\x1f\x7f]")
_LONGEST = 128
_LONGEST_FOLDER_BYTES = 200


def file_name(path: Path) -> str:
    """The last part of a path as text that can be written anywhere; bytes that are no UTF-8 become "�"."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def camera_name(path: Path) -> str:
    """The file's stem with whatever a stream key cannot hold replaced by "_", at most 128 characters."""
    return _UNFIT.sub("_", os.fsencode(path.stem).decode("utf-8", "replace"))[:_LONGEST] or "_"


def folder_name(camera: str) -> str:
    """A camera's name as the name of a folder: what file systems refuse is replaced by "_", at most 200 bytes."""
    fit = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", camera).rstrip(" .")
    short = fit.encode("utf-8", "replace")[:_LONGEST_FOLDER_BYTES].decode("utf-8", "ignore")
    return short if short.strip("._ ") else f"_{short}"


def face_numbers(tracks: Iterable[str]) -> dict[str, int]:
    """Track to the number that every file calls its face by: from 1, in order of appearance, which a track's name
    tells."""
    ordered = sorted(set(tracks), key=lambda track: [int(part) for part in track.split(".")])
    return {track: number for number, track in enumerate(ordered, 1)}


def unique(names: Iterable[str]) -> list[str]:
    """The names in their order, a repeat told apart as "name-2", "name-3", …; upper and lower case count as equal,
    as they do on some file systems."""
    taken: set[str] = set()
    result = []
    for name in names:
        new, number = name, 1
        while new.casefold() in taken:
            number += 1
            new = f"{name[: _LONGEST - len(str(number)) - 1]}-{number}"
        taken.add(new.casefold())
        result.append(new)
    return result
