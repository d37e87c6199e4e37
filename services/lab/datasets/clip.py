"""What every reader returns: a clip with one expression in it, or a long video with all of its expressions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from services.lab.datasets.aus import AuCell

Kind = Literal["micro", "macro"]


@dataclass(frozen=True)
class Clip:
    """One coded expression.

    dataset: name of the reader. subject: as text, leading zeros kept. name: unique within the subject.
    path: folder of frames, video file, or flow image. fps: frames a second, None for an image.
    onset, apex, offset: frame numbers as the sheet counts them, None where they are not known.
    emotion: as coded, lower case. three_class, five_class: None where the protocol leaves the clip out.
    aus: what was coded, None when nobody coded AUs. source: file and row, for messages.
    repairs: what the sheet had wrong and what was made of it.
    people: population that the subject is one of, where it is not the data set itself (two sets share their people).
    """

    dataset: str
    subject: str
    name: str
    path: Path
    fps: float | None
    onset: int | None
    apex: int | None
    offset: int | None
    emotion: str
    three_class: str | None
    five_class: str | None
    aus: AuCell | None
    source: str
    repairs: tuple[str, ...] = ()
    people: str | None = None

    @property
    def id(self) -> str:
        """ "casme2/01/EP02_01f": no two clips of a composite share it."""
        return f"{self.dataset}/{self.subject}/{self.name}"

    @property
    def population(self) -> str:
        """Where the subject comes from: two sets of the same people have the same."""
        return self.people or self.dataset

    @property
    def person(self) -> str:
        """ "casme2/01": the same for all clips of one human being, and for nobody else's."""
        return f"{self.population}/{self.subject}"

    def label(self, classes: int) -> str | None:
        """The class under the 3-class or the 5-class protocol."""
        return self.three_class if classes == 3 else self.five_class


@dataclass(frozen=True)
class Interval:
    """One expression in a long video; frame numbers as in `Clip`, both ends included."""

    kind: Kind
    onset: int
    apex: int | None
    offset: int
    emotion: str
    three_class: str | None
    five_class: str | None
    aus: AuCell | None
    source: str
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class LongVideo:
    """One recording with all that was coded in it, which may be nothing. path: folder of frames, or video file."""

    dataset: str
    subject: str
    name: str
    path: Path
    fps: float
    intervals: tuple[Interval, ...]
    people: str | None = None

    def clips(self) -> list[Clip]:
        """The micro-expressions as clips."""
        return [
            Clip(
                self.dataset,
                self.subject,
                f"{self.name}@{each.onset}",
                self.path,
                self.fps,
                each.onset,
                each.apex,
                each.offset,
                each.emotion,
                each.three_class,
                each.five_class,
                each.aus,
                each.source,
                each.repairs,
                self.people,
            )
            for each in self.intervals
            if each.kind == "micro"
        ]
