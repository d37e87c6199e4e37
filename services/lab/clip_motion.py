"""From the frames of one clip to what a recogniser reads: the very path of `microex analyze`, less the spotter.

The sheet says where the expression is, so nothing is searched for: landmarks, alignment and the stored crop come from
ingest, flow is measured from the onset with the head taken out, and the frames are selected by magnitude, all as the
spotter does it for what it finds itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from microex.v1 import frame_pb2, stream_pb2
from services.common.errors import Poison
from services.common.settings import LandmarkSettings
from services.ingest.core import Captured, Ingest
from services.ingest.sources import Picture, open_video
from services.lab.datasets.clip import Clip
from services.lab.datasets.folders import VIDEOS, clip_frames
from services.motion.patches import FaceMotion
from services.motion.rois import ROIS
from services.motion.tensor import MotionTensor
from services.spotter.constants import CONSTANTS
from services.spotter.reading import Face, read
from services.spotter.select import select

BORDER: Final = 0.3
"""Share of a picture that is added around it when no face is found: cropped copies leave the landmarker no room."""

MEASURED_FPS: Final = 60.0
"""Fine flow is measured at most this often a second: neighbours of faster cameras tell nothing new."""

FEWEST_SEEN: Final = 0.5
"""A face in fewer of the frames than this is not the one that was coded."""

_LENIENT: Final = {"min_eye_distance_px": 8, "max_yaw_deg": 90, "max_pitch_deg": 90, "min_sharpness": 0}
"""A coder saw the expression: no frame is too poor."""


def clip_motion(clip: Clip, settings: LandmarkSettings) -> MotionTensor:
    """Raises Poison, naming the clip's row, when frames are missing or show no face."""
    frames = list(_pictures(clip))
    if len(frames) < 2:
        raise Poison("a clip of one frame has no motion", source=clip.source, clip=clip.id)
    for border in (0.0, BORDER):
        faces = track(frames, clip.fps or 0, border, settings)
        if len(faces) > max(1, FEWEST_SEEN * len(frames)):
            return motion_of(faces, clip.apex)
    raise Poison("no face in most frames of this clip", source=clip.source, clip=clip.id, frames=len(frames))


def track(frames: Sequence[tuple[int, Picture]], fps: float, border: float, settings: LandmarkSettings) -> list[Face]:
    """The face that is seen most often, under the numbers of the frames. border: share of each side to add around."""
    lenient = settings.model_copy(update=_LENIENT)
    found: dict[str, list[Face]] = defaultdict(list)
    with closing(Ingest("lab", "clip", 0, stream_pb2.TIME_BASE_MEDIA, lenient)) as ingest:
        for number, picture in frames:
            time_us = round((number - frames[0][0]) * 1e6 / fps)
            for message in ingest.step(Captured(number, time_us, _with_border(picture, border))):
                face = read(message)
                if not isinstance(face, frame_pb2.End) and face.flaw is None:
                    found[message.stream.track].append(face)
    return max(found.values(), key=len, default=[])


def motion_of(faces: Sequence[Face], apex: int | None) -> MotionTensor:
    """Motion from the first of the faces to those that are selected.

    apex: number of the frame, None to take the one of the largest motion. Needs two faces or more.
    """
    onset, later = faces[0], _thinned(faces[1:], apex)
    motion = FaceMotion(onset.picture, onset.landmarks)
    moved = [motion(face.picture) for face in later]
    strength = np.array([np.sqrt((head.rois.astype(np.float64) ** 2).sum(1).mean()) for head, _ in moved])
    at = int(strength.argmax() if apex is None else np.abs([face.index - apex for face in later]).argmin())
    chosen = select(strength, at, CONSTANTS.selected)
    return MotionTensor(
        data=np.stack([moved[i][1] for i in chosen]),
        times=np.array([(later[i].time_us - later[at].time_us) / 1e6 for i in chosen], np.float32),
        seen=np.broadcast_to(motion.seen, (len(chosen), len(ROIS))),
        indices=tuple(later[i].index for i in chosen),
    )


def _thinned(faces: Sequence[Face], apex: int | None) -> list[Face]:
    """At most MEASURED_FPS of them a second; the apex always among them."""
    rate = len(faces) / max((faces[-1].time_us - faces[0].time_us) / 1e6, 1e-6)
    step = max(1, round(rate / MEASURED_FPS))
    return [face for i, face in enumerate(faces) if i % step == 0 or face.index == apex]


def _pictures(clip: Clip) -> Iterator[tuple[int, Picture]]:
    if clip.path.suffix.lower() in VIDEOS:
        return _of_video(clip)
    return _of_files(clip_frames(clip.path, clip.onset, clip.offset, clip.source).items(), clip)


def _of_files(files: Iterable[tuple[int, Path]], clip: Clip) -> Iterator[tuple[int, Picture]]:
    for number, file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise Poison("not a picture that can be read", source=clip.source, file=str(file))
        yield number, np.asarray(picture, np.uint8)


def _of_video(clip: Clip) -> Iterator[tuple[int, Picture]]:
    with open_video(clip.path) as video:
        for captured in video:
            if clip.offset is not None and captured.index > clip.offset:
                return
            if captured.index >= (clip.onset or 0):
                yield captured.index, captured.picture


def _with_border(picture: Picture, share: float) -> Picture:
    if not share:
        return picture
    y, x = (round(size * share) for size in picture.shape[:2])
    return np.asarray(cv2.copyMakeBorder(picture, y, y, x, x, cv2.BORDER_REPLICATE), np.uint8)
