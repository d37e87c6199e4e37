"""Long streams of face frames from a short video, and what an undisturbed run makes of them."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest, encode
from services.ingest.sources import open_video
from services.spotter.core import Spotter
from tests.unit.spotter.planting import Plant, action_field, warp


def face_frames(video: Path) -> list[frame_pb2.FaceFrame]:
    """What ingest publishes of a file's first track, without its end."""
    with open_video(video) as source, closing(
        Ingest("s", "c", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())
    ) as ingest:  # fmt: skip
        messages = [message for captured in source for message in ingest.step(captured)]
    first = messages[0].stream.track
    return [m for m in messages if m.stream.track == first and m.HasField("frame")]


PLANTS: Final = (
    Plant("smile", 40, 46, 52, 0.4),
    Plant("brow raise", 120, 125, 131, 0.6),
    Plant("chin raise", 220, 226, 231, 0.5),
)
"""Micro-expressions that are warped into the clip, so that there is something to be found."""


def planted(frames: list[frame_pb2.FaceFrame], plants: tuple[Plant, ...] = PLANTS) -> list[frame_pb2.FaceFrame]:
    """The frames with these movements on top of their own."""
    return [_planted(message, plants) for message in frames]


def _planted(message: frame_pb2.FaceFrame, plants: tuple[Plant, ...]) -> frame_pb2.FaceFrame:
    moves = [(p.action, p.course(message.frame.moment.index)) for p in plants]
    if not any(amount for _, amount in moves):
        return message
    crop = cv2.imdecode(np.frombuffer(message.frame.crop_jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    landmarks = np.frombuffer(message.frame.landmarks, "<f4").reshape(-1, 2)
    moved = warp(crop, sum(action_field(action, landmarks, amount) for action, amount in moves))
    changed = frame_pb2.FaceFrame()
    changed.CopyFrom(message)
    changed.frame.crop_jpeg = encode(moved)
    return changed


def repeated(frames: list[frame_pb2.FaceFrame], session: str, camera: str, times: int) -> Iterator[frame_pb2.FaceFrame]:
    """One stream in which the clip runs `times` times, indices and times going on, and its end."""
    first, last = frames[0].frame.moment, frames[-1].frame.moment
    step = stream_pb2.Moment(
        index=last.index - first.index + 1,
        time_us=round((last.time_us - first.time_us) * len(frames) / (len(frames) - 1)),
    )
    message = frame_pb2.FaceFrame()
    for sequence in range(times * len(frames)):
        lap, place = divmod(sequence, len(frames))
        message = frame_pb2.FaceFrame()
        message.CopyFrom(frames[place])
        message.stream.session, message.stream.camera, message.sequence = session, camera, sequence
        message.frame.moment.index += lap * step.index
        message.frame.moment.time_us += lap * step.time_us
        yield message
    end = frame_pb2.FaceFrame(stream=message.stream, sequence=times * len(frames))
    end.end.reason = frame_pb2.End.REASON_SOURCE_END
    end.end.last_seen.CopyFrom(message.frame.moment)
    end.end.published = times * len(frames)
    yield end


def windows(messages: Iterable[frame_pb2.FaceFrame]) -> list[window_pb2.ApexWindow]:
    """What a spotter finds that nothing disturbs."""
    spotter = Spotter()
    return [window for message in messages for window in spotter.step(message).windows]
