"""Whether a video file is shorter than its own header says: an interrupted copy or recording."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

_UNKNOWN_EBML_SIZE: Final = 2**56 - 1


def is_cut_short(path: Path) -> bool:
    """True when the file ends before the last part that its container announces.

    Knows ISO base media (mp4, mov: ISO/IEC 14496-12), Matroska and WebM (RFC 9559), and RIFF (avi). Other containers
    announce no length; for them the answer is False.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0)
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _walk(file, size, _box)
        if start[:4] == b"\x1a\x45\xdf\xa3":
            return _walk(file, size, _element)
        if start[:4] == b"RIFF":
            return _walk(file, size, _chunk)
    return False


def _walk(file: BinaryIO, size: int, length_of: Callable[[BinaryIO], int | None]) -> bool:
    """Go from one top-level part to the next; true when one reaches beyond the end. `length_of` reads a part's header
    and returns its whole length, None for one that goes on to the end of the file."""
    at = 0
    while at < size:
        file.seek(at)
        length = length_of(file)
        if length is None:
            return False
        at += length
    return at > size


def _box(file: BinaryIO) -> int | None:
    header = file.read(16)
    length = int.from_bytes(header[:4], "big")
    if length == 1:
        length = int.from_bytes(header[8:16], "big")
    return length if length >= 8 else None


def _element(file: BinaryIO) -> int | None:
    start = file.tell()
    first = file.read(1)[0]
    file.seek(max(8 - first.bit_length(), 0), os.SEEK_CUR)
    lead = file.read(1)
    if not lead or not lead[0]:
        return None
    width = 9 - lead[0].bit_length()
    value = int.from_bytes(bytes([lead[0] & (0xFF >> width)]) + file.read(width - 1), "big")
    return None if width == 8 and value == _UNKNOWN_EBML_SIZE else file.tell() - start + value


def _chunk(file: BinaryIO) -> int | None:
    header = file.read(8)
    if header[:4] != b"RIFF":
        return None  # whatever follows the last RIFF list was put there by somebody else
    length = int.from_bytes(header[4:8], "little")
    return 8 + length + length % 2
