"""Pictures from files: videos and folders of images. Live sources are in live.py.

Time is the file's own presentation time, never index / fps; rotation flags are honoured; grey becomes three equal
channels. Every frame counts in the index, those that cannot be decoded included, so that the index stays true.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

# FFmpeg inside OpenCV writes to standard error on its own, addresses of cameras included. Before cv2 opens anything.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

from services.common.errors import Poison
from services.ingest.container import is_cut_short

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

Picture = NDArray[np.uint8]

IMAGES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings of the files in a folder that count as frames."""

_END_AFTER_FAILURES: Final = 300
"""OpenCV tells a frame that cannot be decoded and the end of the file alike; this many in a row are the end."""


@dataclass(frozen=True)
class Captured:
    """One frame of a source.

    index: counts every frame of the run from 0, those that were lost on the way included, so that a gap tells of loss.
    time_us: microseconds, presentation time of a file or UTC time of capture.
    picture: [H, W, 3] uint8, BGR.
    """

    index: int
    time_us: int
    picture: Picture


class FileSource(ABC):
    """What both kinds of files share: a context manager over frames that can be gone through once."""

    frames: int | None = None
    """About how many frames there are, for a progress bar; None when nobody knows."""

    @abstractmethod
    def __iter__(self) -> Iterator[Captured]: ...

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Video(FileSource):
    """The frames of one video file.

    Iteration raises Poison at its end when the file was cut short, after it gave every frame that is there, and at
    its beginning when no frame can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise Poison("there is no such file", file=str(path))
        if not path.is_file():
            raise Poison("not a file", file=str(path))
        # An absolute path, so that FFmpeg cannot take "a:b.mp4" for a protocol.
        self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            self.close()
            short = " (it ends before its table of frames)" if is_cut_short(path) else ""
            raise Poison(f"not a video that can be read{short}", file=str(path))
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = count if count > 0 else None

    def __iter__(self) -> Iterator[Captured]:
        index = decoded = failures = time_us = 0
        while failures < _END_AFTER_FAILURES:
            picture = self._capture.retrieve()[1] if self._capture.grab() else None
            if picture is None:
                failures += 1
                continue
            index, failures = index + failures, 0
            time_us = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1000)
            yield Captured(index, time_us, three_channels(picture))
            index, decoded = index + 1, decoded + 1
        if decoded == 0:
            raise Poison("no frame of this video can be decoded", file=str(self._path))
        if decoded > 1 and time_us == 0:
            raise Poison(
                "frames of this video carry no times; put it into a container such as mp4", file=str(self._path)
            )
        if is_cut_short(self._path):
            raise Poison("video was cut short", file=str(self._path), frames=decoded, announced=self.frames)

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()


class Folder(FileSource):
    """The images of one folder in natural order ("2.png" before "10.png"), `fps` of them a second of stream time."""

    def __init__(self, path: Path, fps: float) -> None:
        if not path.is_dir():
            raise Poison("there is no such folder", folder=str(path))
        found = (file for file in path.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith("."))
        self._files = sorted(found, key=_natural)
        if not self._files:
            raise Poison("no images in this folder", folder=str(path))
        self._fps = fps
        self.frames = len(self._files)

    def __iter__(self) -> Iterator[Captured]:
        for index, file in enumerate(self._files):
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if picture is not None:
                yield Captured(index, round(index * 1e6 / self._fps), three_channels(picture))

    def close(self) -> None:
        """Nothing is open: each image is closed as soon as it is read."""


def open_video(path: Path) -> Video:
    """The frames of a video file. Raises Poison, in one line, for a file that is missing or no video."""
    return Video(path)


def open_folder(path: Path, fps: float) -> Folder:
    """The images of a folder as frames. Raises Poison, in one line, for a folder that is missing or holds none."""
    return Folder(path, fps)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts digits by their value and all else by its text."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def three_channels(picture: NDArray[np.generic]) -> Picture:
    """Grey becomes three equal channels. picture: [H, W] or [H, W, 3] uint8."""
    image = np.asarray(picture, np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False) if image.ndim == 2 else image
