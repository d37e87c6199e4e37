"""The pure core of ingest: captured frames in, face frames out. No Kafka, no clock, no file."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.account import Account
from services.ingest.align import Smoother, cut, place, to_crop
from services.ingest.landmarks import Face, Landmarker
from services.ingest.quality import fault, measure
from services.ingest.sources import Captured, Picture
from services.ingest.tracks import Track, Tracker
from services.motion.convention import CROP_PX, JPEG_QUALITY

__all__ = ["Account", "Captured", "Ingest"]

End = frame_pb2.End
FaceFrame = frame_pb2.FaceFrame

_JPEG: Final = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]


@dataclass
class _Stream:
    """What is kept for each open track."""

    sequence: int = 0
    published: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    smoother: Smoother = field(default_factory=Smoother)


class Ingest:
    """One run of one source.

    session, camera: names in the stream key. epoch_ms: of the run, 0 for a file, the UTC start for a live source.
    time_base: what captured times count from. find: what finds faces in a picture, from left to right; default
    MediaPipe (raises Fatal when its model is missing).
    """

    def __init__(
        self,
        session: str,
        camera: str,
        epoch_ms: int,
        time_base: "stream_pb2.TimeBase.ValueType",
        settings: LandmarkSettings,
        find: Callable[[Picture, int], list[Face]] | None = None,
    ) -> None:
        self._session, self._camera = session, camera
        self._time_base = time_base
        self._settings = settings
        self._landmarker = None if find else Landmarker(settings)
        self._find = find or self._landmarker
        self._tracker = Tracker(epoch_ms)
        self._streams: dict[str, _Stream] = {}
        self._next_index = 0
        self._last_us: int | None = None
        self.account = Account()

    def step(self, captured: Captured) -> list[frame_pb2.FaceFrame]:
        """What is to be published after this frame: ends of tracks that are lost, then the faces, older tracks first.

        Indices must ascend; those left out count as "undecodable". A frame that is not later than the one before it
        is dropped as "time", one whose processing raises as "failed".
        """
        if captured.index > self._next_index:
            self.drop("undecodable", captured.index - self._next_index)
        if self._last_us is not None and captured.time_us <= self._last_us:
            self.drop("time")
            return []
        self._last_us = captured.time_us
        assert self._find is not None
        try:
            faces = self._find(captured.picture, captured.time_us)
            ends = self.elapse(captured.time_us)
            frames = [
                self._face(track, face, captured)
                for track, face in self._tracker.step(captured.index, captured.time_us, faces)
            ]
        except Exception:
            self.drop("failed")
            raise
        self._next_index = captured.index + 1
        self.account.captured += 1
        self.account.with_face += bool(faces)
        self.account.without_face += not faces
        return ends + [frame for frame in frames if frame is not None]

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts the next `count` frames of the source as captured and dropped: nobody will see them."""
        self._next_index += count
        if count:
            self.account.captured += count
            self.account.dropped[reason] += count

    def elapse(self, time_us: int) -> list[frame_pb2.FaceFrame]:
        """Ends of the tracks that are lost by that time of the stream."""
        return [self._end(track, End.REASON_LOST) for track in self._tracker.lost(time_us)]

    def finish(self, reason: "frame_pb2.End.Reason.ValueType") -> list[frame_pb2.FaceFrame]:
        """Ends of all open tracks."""
        return [self._end(track, reason) for track in self._tracker.finish()]

    def close(self) -> None:
        """Let go of the landmarker."""
        if self._landmarker is not None:
            self._landmarker.close()

    def _face(self, track: Track, face: Face, captured: Captured) -> frame_pb2.FaceFrame | None:
        """The message of one face, or None when it is not good enough."""
        stream = self._streams.setdefault(track.id, _Stream())
        to_picture = stream.smoother(place(face.points), captured.time_us).to_picture()
        crop = cut(captured.picture, to_picture)
        quality = measure(face, crop)
        reason = fault(face.pose, quality, self._settings)
        self.account.faces_seen += 1
        if reason is not None:
            self.account.faces_dropped[reason] += 1
            stream.dropped[reason] += 1
            return None
        self.account.faces_published += 1
        stream.published += 1
        message = self._message(track, captured.time_us)
        message.frame.CopyFrom(
            frame_pb2.Frame(
                moment=stream_pb2.Moment(index=captured.index, time_us=captured.time_us),
                time_base=self._time_base,
                crop_jpeg=encode(crop),
                crop_px=CROP_PX,
                landmarks=to_crop(face.points, to_picture).astype("<f4").tobytes(),
                crop_to_picture=to_picture.ravel().tolist(),
                pose=face.pose,
                quality=quality,
            )
        )
        return message

    def _end(self, track: Track, reason: "frame_pb2.End.Reason.ValueType") -> frame_pb2.FaceFrame:
        message = self._message(track, track.last_us)
        stream = self._streams.pop(track.id)
        message.end.CopyFrom(
            End(
                reason=reason,
                last_seen=stream_pb2.Moment(index=track.last_index, time_us=track.last_us),
                published=stream.published,
                dropped=dict(stream.dropped),
            )
        )
        return message

    def _message(self, track: Track, time_us: int) -> frame_pb2.FaceFrame:
        """The next message of the track's stream, its body still to come. Files are not captured at any time."""
        stream = self._streams[track.id]
        message = FaceFrame(
            stream=stream_pb2.StreamKey(session=self._session, camera=self._camera, track=track.id),
            sequence=stream.sequence,
        )
        if self._time_base == stream_pb2.TIME_BASE_UTC:
            message.stages.captured_us = time_us
        stream.sequence += 1
        return message


def encode(crop: NDArray[np.uint8]) -> bytes:
    """JPEG of a grey crop at the agreed quality. crop: [S, S] uint8."""
    return bytes(cv2.imencode(".jpg", crop, _JPEG)[1])
