"""Real face frames, made by ingest once for each process of a test run."""

from pathlib import Path

import pytest

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.ingest.sources import open_video


@pytest.fixture(scope="session")
def conversation(talking_face: Path) -> list[frame_pb2.FaceFrame]:
    """300 frames of one man in conversation, 30 frames/s: he smiles, speaks, blinks, looks down, a hand passes."""
    ingest = Ingest("s", "c", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())
    with open_video(talking_face) as video:
        frames = [frame for captured in video for frame in ingest.step(captured)]
    ingest.close()
    return frames


@pytest.fixture(scope="session")
def neutral(conversation: list[frame_pb2.FaceFrame]) -> frame_pb2.FaceFrame:
    """A frame in which the face rests."""
    return conversation[120]
