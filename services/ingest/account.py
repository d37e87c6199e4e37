"""Where every frame and every face went: two sums that must close."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Account:
    """Counts of one run.

    captured = with_face + without_face + dropped (by reason: "behind", "undecodable", "time", "shutdown", "consent",
    "failed");
    faces_seen = faces_published + faces_dropped (by reason: "small", "pose", "blur").
    """

    captured: int = 0
    with_face: int = 0
    without_face: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    faces_seen: int = 0
    faces_published: int = 0
    faces_dropped: Counter[str] = field(default_factory=Counter)

    @property
    def closes(self) -> bool:
        """Whether both sums add up."""
        frames = self.with_face + self.without_face + self.dropped.total()
        return self.captured == frames and self.faces_seen == self.faces_published + self.faces_dropped.total()

    def __add__(self, other: "Account") -> "Account":
        return Account(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def as_fields(self) -> dict[str, Any]:
        """Every counter by name, for a log line or a summary."""
        counts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in counts.items()}
