"""Both motion styles move the face as anatomy says."""

import numpy as np
import pytest

from services.lab.synth.mesh import canonical, twins
from services.lab.synth.muscles import PEOPLE, person
from services.lab.synth.styles import FULL, LEFT, RIGHT, STYLES, Style, fields
from services.motion.aus import AU_INDEX, AUS

UP, DOWN, OUT, IN = (0, -1), (0, 1), (1, 0), (-1, 0)  # of the subject's left side, whose outside is x > 0
INNER_BROW, OUTER_BROW, CORNER, UPPER_LID, LOWER_LID, CHEEK = 336, 300, 291, 386, 374, 347
WING, UPPER_LIP, LOWER_LIP, CHIN = 358, 267, 314, 199

ANATOMY = [
    ("AU1", INNER_BROW, UP), ("AU2", OUTER_BROW, UP), ("AU4", INNER_BROW, DOWN), ("AU4", INNER_BROW, IN),
    ("AU5", UPPER_LID, UP), ("AU6", CHEEK, UP), ("AU7", LOWER_LID, UP), ("AU9", WING, UP), ("AU10", UPPER_LIP, UP),
    ("AU12", CORNER, UP), ("AU12", CORNER, OUT), ("AU14", CORNER, OUT), ("AU15", CORNER, DOWN), ("AU17", LOWER_LIP, UP),
    ("AU20", CORNER, OUT), ("AU23", CORNER, IN), ("AU24", UPPER_LIP, DOWN), ("AU24", LOWER_LIP, UP),
    ("AU25", LOWER_LIP, DOWN), ("AU26", CHIN, DOWN), ("AU26", LOWER_LIP, DOWN),
]  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("au", "landmark", "direction"), ANATOMY)
def test_direction(style: Style, au: str, landmark: int, direction: tuple[int, int]) -> None:
    both = fields(style)[AU_INDEX[au]].sum(0)
    assert both[landmark] @ direction > 0.08 * FULL[au], f"{au} moves landmark {landmark} by {both[landmark]}"


@pytest.mark.parametrize("style", STYLES)
def test_size_side_and_mirror(style: Style) -> None:
    moved = fields(style)
    largest = np.linalg.norm(moved.sum(1), axis=-1).max(-1)
    np.testing.assert_allclose(largest, [FULL[au.code] for au in AUS])
    x = canonical()[:, 0]
    for a, au in enumerate(AUS):
        left = np.linalg.norm(moved[a, LEFT], axis=-1)
        assert left[x > 0.1].sum() > 3 * left[x < -0.1].sum(), f"{au.code} on the left moves the right"
        mirrored = moved[a, LEFT][twins()] * (-1, 1)
        assert np.abs(mirrored - moved[a, RIGHT]).max() < 0.25 * FULL[au.code], f"{au.code} is no mirror image"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("au", "still"), [("AU5", LOWER_LID), ("AU25", CHEEK), ("AU26", UPPER_LIP), ("AU1", CORNER)])
def test_what_stays(style: Style, au: str, still: int) -> None:
    assert np.linalg.norm(fields(style)[AU_INDEX[au]].sum(0)[still]) < 0.12 * FULL[au]


def test_a_smile_goes_the_way_of_real_ones() -> None:
    """Posed smiles of 60 people: corners 4.5 % of the outer-eye distance sideways and 5.7 % up."""
    for style in STYLES:
        corner = fields(style)[AU_INDEX["AU12"]].sum(0)[CORNER]
        assert 0.4 < -corner[0] / corner[1] < 1.1, f"{style}: {corner}"


def test_styles_differ() -> None:
    """Or holding one out would test nothing."""
    muscle, blendshape = (fields(style).reshape(len(AUS), -1) for style in STYLES)
    alike = (muscle * blendshape).sum(1) / np.linalg.norm(muscle, axis=1) / np.linalg.norm(blendshape, axis=1)
    assert alike.max() < 0.97
    assert alike.min() > 0.1, dict(zip([au.code for au in AUS], alike.round(2), strict=True))


def test_people_differ_but_a_frown_stays_a_frown() -> None:
    table, people = fields("muscle").sum(1).reshape(len(AUS), -1), []
    for whom in range(1, PEOPLE + 1, 5):
        both = fields("muscle", whom).sum(1)
        np.testing.assert_allclose(np.linalg.norm(both, axis=-1).max(-1), [FULL[au.code] for au in AUS])
        own = both.reshape(len(AUS), -1)
        people.append((own * table).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(table, axis=1))
    usual = dict(zip([au.code for au in AUS], np.median(people, 0).round(2), strict=True))
    assert min(usual.values()) > 0.6, usual
    assert sum(alike < 0.95 for alike in usual.values()) > len(AUS) / 2, usual


def test_a_face_keeps_its_muscles() -> None:
    assert person("019") == person("019") != 0
    assert len({person(f"{number:03d}") for number in range(60)}) > 30
