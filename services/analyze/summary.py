"""summary.json: where every frame went, how long each stage took, and what made the answers."""

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, Final, TypeVar

from services.analyze.events import Mark

_LIBRARIES: Final = ("mediapipe", "numpy", "opencv-contrib-python", "torch", "protobuf")

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
