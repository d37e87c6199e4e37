"""What lies between a source and its landmarker: a thread that reads, and a bounded line of frames.

When the landmarker falls behind, a file waits; a live source cannot wait, so its oldest frame goes, and is counted.
"""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from services.ingest.sources import Captured

MOST_BYTES: Final = 100_000_000
"""Pictures held at the most: 24 frames of 720p or smaller, 16 of 1080p, 4 of 2160p. Two are always held."""


class Feed:
    """Reads `frames` in a thread of its own from the moment it is made.

    size: frames held at the most, fewer where they would exceed MOST_BYTES. drop_oldest: for live sources. leave:
    shared with the source; set by `stop`. error: what ended the source early, or None.
    """

    def __init__(self, frames: Iterable[Captured], size: int, drop_oldest: bool, leave: threading.Event) -> None:
        self._frames, self._size, self._drop_oldest, self._leave = frames, size, drop_oldest, leave
        self._line: deque[Captured] = deque()
        self._behind = 0
        self._ended = False
        self._changed = threading.Condition()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for captured in self._frames:
                if not self._put(captured):
                    break
        except Exception as error:  # noqa: BLE001 - carried to the thread that takes
            self.error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, captured: Captured) -> bool:
        size = min(self._size, max(2, MOST_BYTES // captured.picture.nbytes))
        with self._changed:
            while self._drop_oldest and len(self._line) >= size:
                self._line.popleft()
                self._behind += 1
            self._changed.wait_for(lambda: len(self._line) < size or self._leave.is_set())
            if not self._leave.is_set():
                self._line.append(captured)
                self._changed.notify_all()
            return not self._leave.is_set()

    def take(self, timeout_s: float) -> tuple[Captured | None, int]:
        """The next frame and how many were dropped before it. No frame: none came in time, all are taken (`ended`), or
        it was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._line or self._ended or self._leave.is_set(), timeout_s)
            behind, self._behind = self._behind, 0
            captured = self._line.popleft() if self._line and not self._leave.is_set() else None
            self._changed.notify_all()
            return captured, behind

    @property
    def ended(self) -> bool:
        """Whether the source gave its last frame, or an error, and all frames were taken."""
        with self._changed:
            return self._ended and not self._line

    @property
    def held(self) -> int:
        """Frames in the line."""
        with self._changed:
            return len(self._line)

    def stop(self) -> None:
        """Tells both ends, and the source, to leave."""
        self._leave.set()
        with self._changed:
            self._changed.notify_all()

    def discard(self) -> int:
        """Throws away what is in the line; returns how many frames that were."""
        with self._changed:
            count, self._behind = len(self._line) + self._behind, 0
            self._line.clear()
            self._changed.notify_all()
            return count

    def join(self, timeout_s: float) -> bool:
        """Wait for the reading thread after `stop`; whether it is gone."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()
