"""One moving face for all tests: the portrait that comes with matplotlib."""

import cv2
import pytest

from services.lab.synth import faces
from services.lab.synth.faces import Still
from services.lab.synth.render import sheets_of
from services.lab.synth.scene import Mover

cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def portrait() -> Still:
    [still] = faces.load(None)
    return still


@pytest.fixture(scope="session")
def mover(portrait: Still) -> Mover:
    return Mover(sheets_of(portrait), "muscle")
