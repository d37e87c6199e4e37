"""Real face frames, made by ingest once for each process of a test run."""

from contextlib import closing
from pathlib import Path

import pytest

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.ingest.sources import open_video


def face_frames(path: Path) -> list[frame_pb2.FaceFrame]:
    """What ingest makes of a video."""
    with (
        closing(Ingest("s", "c", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())) as ingest,
        open_video(path) as video,
    ):
        return [frame for captured in video for frame in ingest.step(captured)]


@pytest.fixture(scope="session")
def conversation(talking_face: Path) -> list[frame_pb2.FaceFrame]:
    """300 frames of one man in conversation, 30 frames/s: he smiles, speaks, blinks, looks down, a hand passes."""
    return face_frames(talking_face)


@pytest.fixture(scope="session")
def laughter(feat_media: Path) -> list[frame_pb2.FaceFrame]:
    """472 frames of a woman, 24 frames/s: she laughs behind a hand that moves over her face, later without it."""
    return face_frames(feat_media / "WolfgangLanger_Pexels.mp4")


@pytest.fixture(scope="session")
def neutral(conversation: list[frame_pb2.FaceFrame]) -> frame_pb2.FaceFrame:
    """A frame in which the face rests."""
    return conversation[120]
