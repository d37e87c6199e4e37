"""Which file is which frame, and what becomes of onset, apex and offset that make no sense."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Poison
from services.lab.datasets.folders import clip_frames, frame_files, ordered
from tests.unit.lab.trees import frames, nothing


def test_the_number_is_the_last_one_in_the_name(tmp_path: Path) -> None:
    frames(tmp_path, "006_1_{:05d}.jpg", [12, 9, 100], nothing)
    (tmp_path / "notes.txt").touch()
    assert list(frame_files(tmp_path)) == [9, 12, 100]


def test_two_pictures_of_one_frame_are_refused(tmp_path: Path) -> None:
    frames(tmp_path, "img{}.jpg", [1, 2], nothing)
    frames(tmp_path, "reg_img{}.jpg", [2], nothing)
    with pytest.raises(Poison, match=r"img2\.jpg"):
        frame_files(tmp_path)


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Poison, match="no frames"):
        frame_files(tmp_path)


@pytest.mark.parametrize(
    ("onset", "offset", "first", "last"),
    [(12, 18, 12, 18), (None, None, 10, 20), (12, None, 12, 20), (9, 14, 10, 14), (15, 99, 15, 20)],
)
def test_the_clip_is_cut_out(tmp_path: Path, onset: int | None, offset: int | None, first: int, last: int) -> None:
    frames(tmp_path, "{}.jpg", range(10, 21), nothing)
    assert list(clip_frames(tmp_path, onset, offset, "sheet, row 2")) == list(range(first, last + 1))


def test_a_folder_that_was_renumbered_is_taken_in_order(tmp_path: Path) -> None:
    frames(tmp_path, "{:03d}.jpg", range(1, 12), nothing)
    found = clip_frames(tmp_path, 310, 320, "sheet, row 2")
    assert [(number, file.name) for number, file in found.items()][:2] == [(310, "001.jpg"), (311, "002.jpg")]


def test_a_sheet_and_a_folder_that_do_not_fit_name_the_row(tmp_path: Path) -> None:
    frames(tmp_path, "{:03d}.jpg", range(1, 12), nothing)
    with pytest.raises(Poison, match="sheet, row 2"):
        clip_frames(tmp_path, 310, 330, "sheet, row 2")


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.none() | st.integers(0, 60), st.booleans())
def test_what_is_left_is_in_order_and_what_made_sense_is_kept(
    onset: int, apex: int | None, offset: int | None, trust_apex: bool
) -> None:
    new_apex, new_offset, repairs = ordered(onset, apex, offset, trust_apex)
    assert new_apex in (apex, None)
    assert new_offset in (offset, None)
    assert new_apex is None or new_apex > onset
    assert new_offset is None or new_offset >= (onset if new_apex is None else new_apex)
    assert len(repairs) == (new_apex != apex) + (new_offset != offset)


def test_of_an_apex_after_its_offset_one_is_wrong() -> None:
    assert ordered(10, 30, 20)[:2] == (None, 20)
    assert ordered(10, 30, 20, trust_apex=True)[:2] == (30, None)
