"""Pictures from live sources, cameras on the network or on this machine: they break off, and are opened again.

The frame index goes on over a reconnection. No address is ever logged: it holds the camera's password.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic_ns
from typing import Any, Final

import cv2

from services.common.errors import Retryable
from services.common.logs import get_logger
from services.common.wire import now_us
from services.ingest.sources import Captured, three_channels

log = get_logger(__name__)

TIMEOUT_MS: Final = 5_000
"""A network source that says nothing for this long is taken for dead."""

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0

CLOCK_SET_US: Final = 1_000_000
"""How far the times of a run may be from the machine's clock before a new run has to take UTC from it again."""


def open_url(url: str) -> cv2.VideoCapture:
    """An RTSP or HTTP source (through FFmpeg; RTSP over TCP)."""
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)


def open_webcam(number: int) -> cv2.VideoCapture:
    """A camera of this machine."""
    return cv2.VideoCapture(number)


class Live:
    """The frames of a live source, until told to stop.

    opener: opens the source anew. stop: set to end; noticed within TIMEOUT_MS. log: knows which camera this is.
    connected: whether frames come; reconnects: how often it was opened again; clock: what its times are read from.
    Iteration raises as that clock does.
    """

    def __init__(
        self,
        opener: Callable[[], cv2.VideoCapture],
        stop: threading.Event,
        log: Any = log,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self._opener = opener
        self._stop = stop
        self._log = log
        self._first_wait_s = first_wait_s
        self.clock = steady_clock()
        self.connected = False
        self.reconnects = 0

    def __iter__(self) -> Iterator[Captured]:
        index, last_us, failures = 0, 0, 0
        while not self._stop.is_set():
            capture, clock = self._opener(), UtcClock()
            try:
                while not self._stop.is_set() and capture.isOpened() and capture.grab():
                    time_us = clock.utc_us(capture.get(cv2.CAP_PROP_POS_MSEC) * 1000, self.clock())
                    if time_us is None:
                        continue
                    good, picture = capture.retrieve()
                    if good:
                        self.connected, failures = True, 0
                        last_us = max(last_us + 1, time_us)
                        yield Captured(index, last_us, three_channels(picture))
                    index += 1
            finally:
                capture.release()  # after an error, too: the next run has to open the same webcam
            if self._stop.is_set():
                break
            wait_s = backoff_s(failures, self._first_wait_s)
            self._log.warning(
                "source broke off" if self.connected else "source does not open", retry_in_s=round(wait_s, 2)
            )
            self.connected = False
            failures += 1
            self._stop.wait(wait_s)
            self.reconnects += 1
        self.connected = False

    def close(self) -> None:
        """Nothing is left to do: whoever goes through the frames closes the source at their end."""


def backoff_s(failures: int, first_s: float = FIRST_WAIT_S) -> float:
    """How long to wait after that many failures in a row: doubling up to LONGEST_WAIT_S, with jitter, so that cameras
    behind one switch do not come back at once."""
    return min(LONGEST_WAIT_S, first_s * 2.0 ** min(failures, 16)) * random.uniform(0.5, 1.0)


def steady_clock() -> Callable[[], int]:
    """A clock of UTC microseconds, taken once from the machine's: its steps are true whatever becomes of that one.

    It raises Retryable once the machine's clock was set by more than CLOCK_SET_US, or the machine slept for as long.
    """
    offset_us = now_us() - monotonic_ns() // 1000

    def clock_us() -> int:
        time_us = offset_us + monotonic_ns() // 1000
        if abs(off_us := now_us() - time_us) > CLOCK_SET_US:
            raise Retryable("the machine's clock was set", by_s=round(off_us / 1e6, 3))
        return time_us

    return clock_us


class UtcClock:
    """Puts the even times of a source onto the uneven ones at which its frames arrive.

    A source counts its own time from anywhere; a network delivers late and in bursts. A frame's delay is least when
    nothing held it up, so the smallest difference of arrival and source time among the last frames ties one clock to
    the other. A source without times, or one whose time jumps, is taken at its arrivals.
    """

    WINDOW: Final = 256
    """Frames over which the smallest difference is taken: follows the drift of the source's clock."""
    LARGEST_DELAY_US: Final = 2_000_000
    LONGEST_BURST: Final = 256
    """Frames that a source may deliver at once when it is opened."""
    AT_ONCE_US: Final = 4_000

    def __init__(self) -> None:
        self._differences: deque[float] = deque(maxlen=self.WINDOW)
        self._last: tuple[float, int] | None = None
        self._burst = 0

    def utc_us(self, source_us: float, arrived_us: int) -> int | None:
        """UTC time of capture, but for the constant part of the delay, of a frame with that time of its source.

        None for the burst of frames that piled up while the source was being opened: nobody knows when they were taken.
        """
        last, self._last = self._last, (source_us, arrived_us)
        if self._burst < self.LONGEST_BURST:
            if last is None or arrived_us - last[1] < max(0.5 * (source_us - last[0]), self.AT_ONCE_US):
                self._burst += 1
                return None
            self._burst = self.LONGEST_BURST
        difference = arrived_us - source_us
        jumped = bool(self._differences) and abs(difference - min(self._differences)) > self.LARGEST_DELAY_US
        if jumped or (last is not None and source_us <= last[0]):
            self._differences.clear()
        self._differences.append(difference)
        return round(source_us + min(self._differences))
