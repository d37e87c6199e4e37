"""summary.json: where every frame went, how long each stage took, and what made the answers."""

import hashlib
import json
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

from services.analyze.events import Mark
from services.common.errors import Fatal

_LIBRARIES: Final = ("mediapipe", "numpy", "opencv-contrib-python", "torch", "protobuf")

SHORTEST_S: Final = 1
"""A movement shows between what was before it and what comes after."""

FEWEST_FPS: Final = 20
"""Fewer leave a micro-expression too few frames to be told from noise."""

T = TypeVar("T")


class Stages:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - begun

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The items; waiting for each one counts for the stage."""
        iterator = iter(items)
        while True:
            with self(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item


def source_of(video: Path) -> dict[str, Any]:
    """Which file it was, whatever it is called and wherever it lies."""
    with video.open("rb") as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def refuse_other(folder: Path, video: Path) -> None:
    """Raises Fatal when `folder` holds the results of another file than `video`."""
    path = folder / "summary.json"
    if not (path.is_file() and os.access(video, os.R_OK) and video.is_file()):
        return  # nothing to lose, or nothing that would be analysed
    try:
        held = json.loads(path.read_text("utf-8"))
        about, name = held.get("source"), held["video"]
    except (ValueError, AttributeError, KeyError) as error:
        raise Fatal("this summary.json is none of microex; choose another --out", file=str(path)) from error
    if about is not None and (about["bytes"] != video.stat().st_size or about != source_of(video)):
        raise Fatal(
            "the results of another video are there; choose another --out",
            folder=str(folder), of=name, not_of=str(video),
        )  # fmt: skip


def unjudged(duration_s: float, fps: float | None) -> str | None:
    """Why that nothing was found in so much of a video would be no finding; None when it would."""
    if fps is None or duration_s < SHORTEST_S:
        return f"too short to judge ({duration_s:.1f} s; {SHORTEST_S} s or more is needed)"
    if fps < FEWEST_FPS:
        return f"too few frames a second to find all ({fps:.1f}; {FEWEST_FPS} or more are needed)"
    return None


def versions() -> dict[str, str]:
    """What is installed here and moves the numbers."""
    found = {"microex": version("microex"), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an installation without that extra has no such library
    return found


def expressions(marks: Sequence[Mark]) -> dict[str, Any]:
    """How many of what."""
    kinds = Counter(mark.kind for mark in marks)
    return {
        "micro": kinds["micro"],
        "macro": kinds["macro"],
        "by_emotion": dict(sorted(Counter(mark.emotion for mark in marks).items())),
    }


def words(marks: Sequence[Mark]) -> str:
    """ "2 micro-expressions, 1 macro-expression"."""
    kinds = Counter(mark.kind for mark in marks)
    return ", ".join(count(kinds[kind], f"{kind}-expression") for kind in ("micro", "macro"))


def count(number: int, noun: str) -> str:
    """ "1 face", "2 faces"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
