import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analyze.names import camera_name, file_name, folder_name, unique
from services.common.ids import check_name

FORBIDDEN = b"/\0"
# A file system gives bytes, of any kind; Python turns those that are no UTF-8 into half characters.
from_bytes = st.binary(min_size=1, max_size=200).filter(lambda raw: not set(raw) & set(FORBIDDEN)).map(os.fsdecode)
from_text = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=200)
file_names = (from_bytes | from_text).filter(lambda name: name not in (".", ".."))


@given(file_names)
def test_any_file_gives_a_camera_that_a_stream_key_can_hold(name: str) -> None:
    assert check_name("camera", camera_name(Path(name)))


@given(file_names)
def test_any_file_gives_a_folder_that_stays_inside_its_parent(name: str) -> None:
    folder = folder_name(camera_name(Path(name)))
    assert folder not in ("", ".", "..")
    assert Path("out", folder).parent == Path("out")
    assert len(folder.encode()) <= 201


@given(file_names)
def test_any_file_name_can_be_written_as_utf8(name: str) -> None:
    file_name(Path(name)).encode()


@given(st.lists(st.text(max_size=130)))
def test_names_are_made_unique_whatever_their_case(names: list[str]) -> None:
    made = unique(names)
    assert len({name.casefold() for name in made}) == len(names)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["clip", "other"], ["clip", "other"]),
        (["clip", "clip", "clip"], ["clip", "clip-2", "clip-3"]),
        (["Clip", "clip"], ["Clip", "clip-2"]),
        (["clip", "clip", "clip-2"], ["clip", "clip-2", "clip-2-2"]),
    ],
)
def test_repeats_are_numbered(names: list[str], expected: list[str]) -> None:
    assert unique(names) == expected


def test_an_ordinary_stem_stays_as_it_is() -> None:
    assert camera_name(Path("/data/Interview 3 (Zoë).mp4")) == "Interview 3 (Zoë)"
    assert folder_name("Interview 3 (Zoë)") == "Interview 3 (Zoë)"
