"""Ids that are derived, never random, so that the same thing has the same name however often it is made."""

import hashlib
import re
from functools import lru_cache
from urllib.parse import quote

from microex.v1 import stream_pb2
from services.common.errors import Fatal, Poison

_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,128}")
_TRACK = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def check_name(kind: str, name: str) -> str:
    """`name` itself if it can stand in a stream key: 1 to 128 characters, no "/" and no control character.

    Raises Fatal otherwise. kind: what it names ("session", "camera"), for the message.
    """
    if not _NAME.fullmatch(name):
        raise Fatal(f"a {kind} needs 1 to 128 characters without '/' and control characters", **{kind: name})
    return name


def track_id(epoch_ms: int, frame_index: int, ordinal: int) -> str:
    """Name of a track: epoch of the run (0 for a file, UTC start in ms for a live source), frame index at which it
    began, ordinal from left to right among the tracks that began there."""
    return f"{epoch_ms}.{frame_index}.{ordinal}"


def stream_key(stream: stream_pb2.StreamKey) -> str:
    """ "session/camera/track"; raises Poison when a part is missing or malformed."""
    return _stream_key(stream.session, stream.camera, stream.track)


@lru_cache(1024)
def _stream_key(session: str, camera: str, track: str) -> str:
    if not (_NAME.fullmatch(session) and _NAME.fullmatch(camera) and _TRACK.fullmatch(track)):
        raise Poison("malformed stream key", session=session, camera=camera, track=track)
    return f"{session}/{camera}/{track}"


def window_id(stream: stream_pb2.StreamKey, onset_index: int, offset_index: int, detector: str) -> str:
    """32 hexadecimal digits from stream key, onset and offset frame and detector version."""
    return _digest(stream_key(stream), str(onset_index), str(offset_index), detector)


def prediction_id(window: str, model_digest: str) -> str:
    """32 hexadecimal digits from window id and model digest."""
    return _digest(window, model_digest)


def cache_prefix(session: str) -> str:
    """What every cache key of a session begins with; no session's prefix begins another's."""
    return f"microex:{quote(session, safe='')}:"


def _digest(*parts: str) -> str:
    # Length first, so that no two lists of parts give the same bytes.
    framed = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return hashlib.sha256(framed).hexdigest()[:32]
