"""Real face frames, made by ingest once for each process of a test run."""

from pathlib import Path

import pytest

from microex.v1 import frame_pb2
from tests.support.streams import face_frames


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
