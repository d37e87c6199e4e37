"""Still faces to move: a folder of pictures, or one public-domain portrait that a package carries.

Identities, never pictures, are divided between training and test.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.common.errors import Fatal, Poison
from services.common.settings import LandmarkSettings
from services.ingest.landmarks import Landmarker
from services.motion.convention import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Split = Literal["train", "test", "all"]

PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp")
NEUTRAL: Final = "neutral"
TEST_SHARE: Final = 0.25
"""Share of identities that are kept for testing."""


@dataclass(frozen=True)
class Still:
    """One face. identity: the file's stem; picture: [H, W, 3] uint8 BGR; points: [478, 2] float32, its pixels."""

    identity: str
    picture: NDArray[np.uint8]
    points: NDArray[np.float32]

    @property
    def eye_distance(self) -> float:
        """Pixels."""
        return float(np.linalg.norm(self.points[LEFT_EYE_OUTER] - self.points[RIGHT_EYE_OUTER]))


def load(folder: Path | None, split: Split = "all", test: Sequence[str] = ()) -> list[Still]:
    """The faces of a folder, by identity; without a folder, the one of the demonstration, whatever the split.

    Pictures lie in the folder or, as the London set is laid out, in its folder `neutral`.
    test: identities for testing; none: every identity's hash decides. Raises Fatal when there are no faces to be had,
    and Poison for a picture in which none is found."""
    if folder is None:
        return [_still(demo_picture())]
    if not folder.is_dir():
        raise Fatal("the folder of faces does not exist", folder=str(folder))
    neutral = folder / NEUTRAL
    pictures = (neutral if neutral.is_dir() else folder).iterdir()
    paths = sorted(path for path in pictures if path.suffix.lower() in PICTURES)
    chosen = [path for path in paths if split == "all" or (split == "test") == is_test(path.stem, test)]
    if not chosen:
        raise Fatal("the folder holds no pictures of faces for this split", folder=str(folder), split=split,
                    pictures=len(paths), suffixes=PICTURES)  # fmt: skip
    return [_still(path) for path in chosen]


def is_test(identity: str, test: Sequence[str] = ()) -> bool:
    """Whether an identity is kept for testing: by list, else by its hash, so that it never changes sides."""
    if test:
        return identity in test
    return int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16) / 2**32 < TEST_SHARE


def demo_picture() -> Path:
    """Rear Admiral Grace Hopper, 1984; a work of the U.S. Navy, so in the public domain; matplotlib carries it."""
    found = importlib.util.find_spec("matplotlib")
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0], "mpl-data/sample_data/grace_hopper.jpg") if folders else None
    if path is None or not path.is_file():
        raise Fatal("the portrait for the demonstration is missing: install matplotlib, or name a folder of faces")
    return path


def _still(path: Path) -> Still:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise Poison("not a picture that can be read", file=str(path))
    landmarker = Landmarker(LandmarkSettings())
    try:
        found = landmarker(np.asarray(picture, np.uint8), 0)
    finally:
        landmarker.close()
    if not found:
        raise Poison("no face was found in a picture", file=str(path))
    largest = max(found, key=lambda face: face.spread)
    return Still(path.stem, np.asarray(picture, np.uint8), largest.points)
