"""Long recordings with all expressions in them labelled: videos with a label file beside each, or a data set's folders.

A label file `<stem>.json` holds `fps`, `frames` and `events`: `kind` ("micro", "macro"), `onset`, `apex` (may be null)
and `offset` (frame numbers from 0, both ends included), `emotion`, `aus` ([{au, side, intensity}]). `distractors`
([{kind, start, end}], frame numbers) may say what else happens; a false alarm is then put down to it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from services.common.errors import Fatal, Poison
from services.ingest.sources import Captured, open_video
from services.lab.datasets.clip import Interval, Kind
from services.lab.datasets.emotions import three_class
from services.lab.datasets.folders import VIDEOS, frame_files
from services.lab.datasets.readers import LONG_READERS
from services.lab.metrics import Span


@dataclass(frozen=True)
class Truth:
    """One labelled expression; times in seconds from the first frame.

    apex_s: None where it is not known. emotion: its 3-class label. amplitude: largest intensity of an AU, 0 to 1.
    aus: codes that act, None where nobody coded any.
    """

    kind: Kind
    span: Span
    apex_s: float | None
    emotion: str | None
    amplitude: float | None
    aus: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Recording:
    """One recording. path: video file or folder of frames. distractors: what else happens, and when."""

    name: str
    path: Path
    fps: float
    truths: tuple[Truth, ...]
    distractors: tuple[tuple[str, Span], ...] = ()


def labelled(folder: Path) -> list[Recording]:
    """Every video of the folder with its labels. Raises Fatal when there is none, Poison for labels that are wrong."""
    if not folder.is_dir():
        raise Fatal("there is no such folder", folder=str(folder))
    videos = sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEOS)
    found = [_labelled(video) for video in videos]
    if not found:
        raise Fatal("no videos in this folder", folder=str(folder))
    return found


def long_videos(dataset: str, root: Path) -> list[Recording]:
    """Every recording of a data set of long videos."""
    found = []
    for video in LONG_READERS[dataset](root):
        first = min(frame_files(video.path))
        truths = tuple(_of_interval(each, first, video.fps) for each in video.intervals)
        found.append(Recording(f"{video.subject}/{video.name}", video.path, video.fps, truths))
    return found


@contextmanager
def frames_of(recording: Recording) -> Iterator[Iterator[Captured]]:
    """The frames, at the times that labels count in. Raises Poison when there are none."""
    if recording.path.is_dir():
        yield _of_folder(recording)
    else:
        with open_video(recording.path) as video:
            yield iter(video)


def _of_folder(recording: Recording) -> Iterator[Captured]:
    files = frame_files(recording.path)
    first = min(files)
    for number, file in files.items():
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is not None:  # a gap in the index counts it as undecodable
            time_us = round((number - first) * 1e6 / recording.fps)
            yield Captured(number - first, time_us, np.asarray(picture, np.uint8))


def _of_interval(interval: Interval, first: int, fps: float) -> Truth:
    apex_s = None if interval.apex is None else (interval.apex - first) / fps
    return Truth(
        interval.kind, _span(interval.onset - first, interval.offset - first, fps), apex_s, interval.three_class, None
    )


def _labelled(video: Path) -> Recording:
    file = video.with_suffix(".json")
    if not file.is_file():
        raise Poison("labels are missing beside this video", video=str(video), labels=file.name)
    try:
        labels = json.loads(file.read_text("utf-8"))
        fps = float(labels["fps"])
        truths = tuple(_of_event(event, fps) for event in labels["events"])
        distractors = tuple(
            (str(each["kind"]), _span(each["start"], each["end"], fps)) for each in labels.get("distractors", [])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Poison("labels cannot be read", file=str(file), error=f"{type(error).__name__}: {error}") from error
    return Recording(video.stem, video, fps, truths, distractors)


def _of_event(event: dict[str, Any], fps: float) -> Truth:
    kind: Kind = "micro" if event["kind"] == "micro" else "macro"
    if event["kind"] != kind:
        raise ValueError(f"kind is neither micro nor macro: {event['kind']!r}")
    apex_s = None if event.get("apex") is None else event["apex"] / fps
    span = _span(event["onset"], event["offset"], fps)
    aus = event.get("aus") or []
    codes = tuple(str(au["au"]) for au in aus) or None
    return Truth(kind, span, apex_s, three_class(str(event.get("emotion", ""))), _amplitude(aus), codes)


def _amplitude(aus: Sequence[dict[str, Any]]) -> float | None:
    return max((float(au["intensity"]) for au in aus if au.get("intensity") is not None), default=None)


def _span(first: int, last: int, fps: float) -> Span:
    """From the start of one frame to the end of the other."""
    if last < first:
        raise ValueError(f"ends at {last}, before it begins at {first}")
    return Span(first / fps, (last + 1) / fps)
