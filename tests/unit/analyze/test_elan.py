"""events.eaf against the structure that the EAF format asks for, and read back by another program's reader."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pympi import Elan

from services.analyze.elan import address, lanes, span_ms, write_eaf
from services.analyze.events import Mark
from services.analyze.names import face_numbers
from tests.unit.analyze.made_up import mark


def write(path: Path, marks: Sequence[Mark], video: Path | None = None, origin_s: float = 0.0) -> None:
    """Nobody was there but those who have an expression."""
    write_eaf(path, marks, video, face_numbers(mark.track for mark in marks), origin_s)


def read(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    eaf = Elan.Eaf(str(path))
    return {tier: [note[:3] for note in eaf.get_annotation_data_for_tier(tier)] for tier in eaf.get_tier_names()}


def check_structure(path: Path) -> None:
    """Ids unique, time slots in order of time and all used, every reference pointing at something of the right kind."""
    root = ElementTree.parse(path).getroot()
    slots = root.findall("TIME_ORDER/TIME_SLOT")
    times = [int(slot.attrib["TIME_VALUE"]) for slot in slots]
    slot_ids = [slot.attrib["TIME_SLOT_ID"] for slot in slots]
    aligned, references = root.findall(".//ALIGNABLE_ANNOTATION"), root.findall(".//REF_ANNOTATION")
    annotation_ids = [note.attrib["ANNOTATION_ID"] for note in aligned + references]
    assert times == sorted(times) and all(time >= 0 for time in times)
    assert len(set(slot_ids)) == len(slot_ids) and len(set(annotation_ids)) == len(annotation_ids)
    used = [note.attrib[name] for note in aligned for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
    assert sorted(used) == sorted(slot_ids)
    assert all(note.attrib["ANNOTATION_REF"] in annotation_ids for note in references)
    types = {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.findall("LINGUISTIC_TYPE")}
    tiers = {tier.attrib["TIER_ID"]: tier for tier in root.findall("TIER")}
    assert len(tiers) == len(root.findall("TIER")) and "default" not in tiers
    for tier in tiers.values():
        assert tier.attrib["LINGUISTIC_TYPE_REF"] in types
        assert tier.attrib.get("PARENT_REF") in {None, *tiers}
        if parent := tier.attrib.get("PARENT_REF"):
            above = {note.attrib["ANNOTATION_ID"] for note in tiers[parent].iter("ALIGNABLE_ANNOTATION")}
            assert [note.attrib["ANNOTATION_REF"] for note in tier.iter("REF_ANNOTATION")] == sorted(
                above, key=annotation_ids.index
            )


def test_a_face_has_a_tier_for_kind_emotion_and_aus(tmp_path: Path) -> None:
    marks = [mark(1.0, 1.32, emotion="surprise", aus=("AU1", "AU12 left")), mark(2.0, 3.2, aus=())]
    write(tmp_path / "events.eaf", marks)
    check_structure(tmp_path / "events.eaf")
    assert read(tmp_path / "events.eaf") == {
        "kind": [(1000, 1320, "micro"), (2000, 3200, "macro")],
        "emotion": [(1000, 1320, "surprise"), (2000, 3200, "negative")],
        "AUs": [(1000, 1320, "AU1 + AU12 left"), (2000, 3200, "none")],
    }


def test_each_face_has_its_own_tiers_and_names_its_track(tmp_path: Path) -> None:
    write(tmp_path / "events.eaf", [mark(1, 2), mark(1.5, 2.5, track="0.7.1")])
    check_structure(tmp_path / "events.eaf")
    eaf = Elan.Eaf(str(tmp_path / "events.eaf"))
    assert list(eaf.get_tier_names()) == [
        "kind face 1", "emotion face 1", "AUs face 1", "kind face 2", "emotion face 2", "AUs face 2",
    ]  # fmt: skip
    assert eaf.get_parameters_for_tier("AUs face 2")["PARTICIPANT"] == "0.7.1"
    assert eaf.get_parameters_for_tier("AUs face 2")["PARENT_REF"] == "kind face 2"


def test_a_video_without_expressions_has_its_empty_tiers(tmp_path: Path) -> None:
    write(tmp_path / "events.eaf", [])
    check_structure(tmp_path / "events.eaf")
    assert read(tmp_path / "events.eaf") == {"kind": [], "emotion": [], "AUs": []}


def test_it_links_the_video_by_address_and_by_relative_path(tmp_path: Path) -> None:
    video = tmp_path / "in put" / "Zoë & 面试 #1.mp4"
    folder = tmp_path / "out" / "clip"
    video.parent.mkdir()
    folder.mkdir(parents=True)
    video.touch()
    write(folder / "events.eaf", [], video)
    (link,) = Elan.Eaf(str(folder / "events.eaf")).get_linked_files()
    assert link["MEDIA_URL"] == f"file://{video}", "ELAN opens what follows as a path, without decoding it"
    assert (folder / link["RELATIVE_MEDIA_URL"]).resolve() == video
    assert link["MIME_TYPE"] == "video/mp4"


def test_the_address_of_a_video_on_a_windows_drive_has_three_slashes() -> None:
    assert address(PureWindowsPath(r"C:\Eigene Videos\ü.mp4")) == "file:///C:/Eigene Videos/ü.mp4"


def test_a_face_has_the_number_of_its_appearance_whoever_is_decided_first(tmp_path: Path) -> None:
    """Of three faces the second and the third moved, the third was decided first, and names sort as numbers."""
    faces = face_numbers(["0.10.0", "0.2.0", "0.2.1"])
    write_eaf(tmp_path / "events.eaf", [mark(1, 2, track="0.10.0"), mark(1.5, 2.5, track="0.2.1")], None, faces)
    eaf = Elan.Eaf(str(tmp_path / "events.eaf"))
    people = {tier: eaf.get_parameters_for_tier(tier)["PARTICIPANT"] for tier in eaf.get_tier_names() if "kind" in tier}
    assert people == {"kind face 2": "0.2.1", "kind face 3": "0.10.0"}


def test_it_replaces_an_older_file_and_leaves_no_other(tmp_path: Path) -> None:
    for _ in range(2):
        write(tmp_path / "events.eaf", [mark(1, 2)])
    assert [path.name for path in tmp_path.iterdir()] == ["events.eaf"]


def test_live_times_count_from_the_origin(tmp_path: Path) -> None:
    write(tmp_path / "events.eaf", [mark(1.764e9 + 5, 1.764e9 + 5.4)], origin_s=1.764e9)
    assert read(tmp_path / "events.eaf")["kind"] == [(5000, 5400, "micro")]


def test_an_expression_on_one_frame_before_zero_still_has_length(tmp_path: Path) -> None:
    write(tmp_path / "events.eaf", [mark(-0.02, -0.02)])
    assert read(tmp_path / "events.eaf")["kind"] == [(0, 1, "micro")]


spans = st.tuples(st.floats(0, 60), st.floats(0, 3), st.sampled_from(["0.0.0", "0.0.1"]))


@given(st.lists(spans, max_size=12), st.text(max_size=10))
def test_any_expressions_make_a_sound_file_that_holds_them_all(
    tmp_path_factory: pytest.TempPathFactory, given_spans: list[tuple[float, float, str]], emotion: str
) -> None:
    path = tmp_path_factory.mktemp("eaf") / "events.eaf"
    marks = [mark(start, start + length, track=track, emotion=emotion) for start, length, track in given_spans]
    write(path, marks)
    check_structure(path)
    found = [note[:2] for tier, notes in read(path).items() if tier.startswith("kind") for note in notes]
    assert sorted(found) == sorted(span_ms(each, 0) for each in marks)


@given(st.lists(spans, max_size=12))
def test_no_two_in_a_lane_overlap(given_spans: list[tuple[float, float, str]]) -> None:
    marks: list[Mark] = sorted((mark(a, a + b) for a, b, _ in given_spans), key=lambda each: each.onset_s)
    spread = lanes(marks, 0)
    assert sorted(each for lane in spread for each in map(id, lane)) == sorted(map(id, marks))
    for lane in spread:
        ends = [span_ms(each, 0)[1] for each in lane]
        assert all(span_ms(after, 0)[0] >= end for end, after in zip(ends, lane[1:], strict=False))
