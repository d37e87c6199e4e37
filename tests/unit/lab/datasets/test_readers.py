"""Each reader on a small tree in its data set's layout, with the traps that the real one has."""

from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from services.common.errors import Fatal, MicroexError, Poison
from services.lab.datasets.aus import parse_aus
from services.lab.datasets.clip import Clip
from services.lab.datasets.readers import LONG_READERS, READERS, read_clips
from tests.unit.lab import trees

TREES: dict[str, Callable[[Path], Path]] = {
    "casme2": trees.casme2,
    "samm": trees.samm,
    "smic": trees.smic,
    "casme3": trees.casme3,
    "dfme": trees.dfme,
    "4dme": trees.fourdme,
    "casme2-long": trees.casme2_long,
    "samm-lv": trees.samm_lv,
    "csv": trees.csv,
    "flow-images": trees.flow_images,
}


def read(name: str, root: Path) -> dict[str, Clip]:
    return {clip.id: clip for clip in READERS[name](TREES[name](root))}


def moments(clip: Clip) -> tuple[int | None, int | None, int | None]:
    return clip.onset, clip.apex, clip.offset


def test_every_reader_has_a_tree() -> None:
    assert set(TREES) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_ids_are_unique_and_paths_exist(name: str, tmp_path: Path) -> None:
    clips = READERS[name](TREES[name](tmp_path))
    assert len({clip.id for clip in clips}) == len(clips) > 0
    assert all(clip.path.exists() for clip in clips)
    assert all(clip.dataset == name for clip in clips)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no such folder"):
        READERS[name](tmp_path / "nowhere")


@pytest.mark.parametrize("name", READERS)
def test_an_empty_folder_says_what_it_wants(name: str, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="folder"):
        READERS[name](tmp_path)


def test_casme2(tmp_path: Path) -> None:
    clips = read("casme2", tmp_path)
    assert set(clips) == {f"casme2/{each}" for each in ("01/EP02_01f", "02/EP03_02", "03/EP04_04", "03/EP04_04f")}
    first, no_apex, wrong_offset, sad = clips.values()
    assert moments(first) == (46, 59, 86)
    assert (first.three_class, first.five_class, first.fps) == ("positive", "happiness", 200)
    assert first.aus == parse_aus("R4+L10")
    assert moments(no_apex) == (100, None, 140)
    assert moments(wrong_offset) == (10, 25, None)
    assert wrong_offset.repairs == ("offset 20 lies before the apex: taken as unknown",)
    assert (sad.three_class, sad.five_class) == ("negative", None)


@pytest.mark.parametrize("blanks", [0, 1, 3])
def test_casme2_whatever_the_number_and_order_of_columns(tmp_path: Path, blanks: int) -> None:
    usual = read("casme2", tmp_path / "usual")
    header = [name for name in reversed(trees.CASME2_HEADER) if name] + [None] * blanks
    other = {clip.id: clip for clip in READERS["casme2"](trees.casme2(tmp_path / "other", header=header))}
    assert {name: moments(clip) for name, clip in other.items()} == {
        name: moments(clip) for name, clip in usual.items()
    }


@pytest.mark.parametrize("preamble", [12, 0])
def test_samm_with_and_without_its_page_of_text(tmp_path: Path, preamble: int) -> None:
    clips = {clip.id: clip for clip in READERS["samm"](trees.samm(tmp_path, preamble=preamble))}
    assert set(clips) == {"samm/006/006_1_2", "samm/007/007_3_1", "samm/007/007_3_2"}
    angry, happy, other = clips.values()
    assert (angry.three_class, angry.five_class, moments(angry)) == ("negative", "anger", (5562, 5588, 5632))
    assert moments(happy) == (20, None, 60)
    assert (other.three_class, other.five_class, moments(other)) == (None, "others", (101, None, 150))
    assert other.aus == parse_aus("(R6 or R12)")


def test_smic_reads_the_class_from_the_name(tmp_path: Path) -> None:
    clips = read("smic", tmp_path)
    assert {clip.id: clip.three_class for clip in clips.values()} == {
        "smic/s01/s01_ne_01": "negative",
        "smic/s01/s01_sur_02": "surprise",
        "smic/s02/s02_po_01": "positive",
    }
    assert all(clip.aus is None and moments(clip) == (None, None, None) for clip in clips.values())


def test_smic_refuses_two_copies_of_a_clip(tmp_path: Path) -> None:
    trees.smic(tmp_path)
    trees.frames(tmp_path / "HS_cropped/s1/s1_ne_01", "{}.jpg", [1, 2], trees.nothing)
    with pytest.raises(Fatal, match="two copies"):
        READERS["smic"](tmp_path)


def test_casme3(tmp_path: Path) -> None:
    clips = read("casme3", tmp_path)
    assert set(clips) == {f"casme3/{each}" for each in ("spNO.1/a@20", "spNO.1/a@60", "spNO.1/b@0", "spNO.10/c@116")}
    commas, at_onset, zero, own_folder = clips.values()
    assert commas.aus == parse_aus("4+7")
    assert moments(at_onset) == (60, None, 75)
    assert (zero.five_class, zero.three_class) == ("others", None)
    assert own_folder.path.name == "spNO.10_c_116"
    assert commas.path.name == "color"


def test_casme3_recordings_hold_both_kinds_and_none(tmp_path: Path) -> None:
    trees.frames(trees.casme3(tmp_path) / "part_A/spNO.10/c/color", "{}.jpg", range(100, 140), trees.nothing)
    videos = {video.name: video for video in LONG_READERS["casme3"](tmp_path)}
    assert {name: [each.kind for each in video.intervals] for name, video in videos.items()} == {
        "a": ["micro", "micro", "macro"],
        "b": ["micro"],
        "d": [],
        "c": ["micro"],
    }


def test_dfme_takes_its_frame_rate_and_emotion_from_the_row(tmp_path: Path) -> None:
    clips = read("dfme", tmp_path)
    assert {clip.id: (clip.fps, clip.emotion, clip.three_class) for clip in clips.values()} == {
        "dfme/3/10003_0": (200, "anger", "negative"),
        "dfme/3/10003_1": (500, "surprise", "surprise"),
        "dfme/11004/11004_2": (300, "contempt", "negative"),
    }
    assert clips["dfme/3/10003_1"].aus == parse_aus("1+2+5+M57")


def test_4dme_drops_brackets_and_keeps_clips_of_one_class(tmp_path: Path) -> None:
    first, two_names, two_classes, _ = read("4dme", tmp_path).values()
    assert first.aus == parse_aus("12")
    assert (two_names.three_class, two_names.five_class, two_names.aus) == ("negative", None, parse_aus("4"))
    assert (two_classes.three_class, two_classes.aus) == (None, parse_aus("1+4"))


def test_casme2_long(tmp_path: Path) -> None:
    videos = {video.name: video for video in LONG_READERS["casme2-long"](trees.casme2_long(tmp_path))}
    assert [len(video.intervals) for video in videos.values()] == [2, 1, 1, 0]
    angry, funny = videos["15_0502angry"], videos["15_0505funny"]
    assert [(each.kind, each.onset, each.apex, each.offset) for each in angry.intervals] == [
        ("micro", 10, 18, 24),
        ("macro", 50, 60, 90),
    ]
    assert "offset 0" in angry.intervals[1].repairs[0]
    happy = funny.intervals[0]
    assert (happy.apex, happy.offset, happy.emotion, happy.three_class) == (None, 30, "happiness", "positive")
    assert [clip.id for clip in READERS["casme2-long"](tmp_path)] == [
        "casme2-long/s15/15_0502angry@10",
        "casme2-long/s15/15_0505funny@20",
        "casme2-long/s16/16_0101disgustingteeth@5",
    ]


def test_samm_lv(tmp_path: Path) -> None:
    videos = {video.name: video for video in LONG_READERS["samm-lv"](trees.samm_lv(tmp_path))}
    assert {name: len(video.intervals) for name, video in videos.items()} == {"006_1": 2, "006_2": 0, "007_3": 1}
    micro, macro = videos["006_1"].intervals
    assert (micro.kind, micro.emotion, micro.three_class) == ("micro", "anger", "negative")
    assert (macro.kind, macro.onset, macro.apex, macro.offset) == ("macro", 70, None, 190)
    clips = {clip.id: clip for clip in READERS["samm-lv"](tmp_path)}
    assert clips["samm-lv/007/007_3@10"].person == "samm/007", "they are the people of SAMM"


def test_csv(tmp_path: Path) -> None:
    first, no_apex, other, _ = read("csv", tmp_path).values()
    assert (first.person, first.fps, moments(first)) == ("csv/ann", 50, (0, 10, 20))
    assert moments(no_apex) == (5, None, 25)
    assert no_apex.aus is None
    assert (other.five_class, moments(other)) == ("others", (0, 4, None))
    assert other.aus == parse_aus("none")


def test_flow_images_are_the_union_of_u_test(tmp_path: Path) -> None:
    clips = read("flow-images", tmp_path)
    assert {clip.id: (clip.three_class, clip.person) for clip in clips.values()} == {
        "flow-images/01/0/EP02 01f.png": ("negative", "casme2/01"),
        "flow-images/01/1/1.png": ("positive", "casme2/01"),
        "flow-images/s01/0/1.png": ("negative", "smic/s01"),
        "flow-images/s01/2/1.png": ("surprise", "smic/s01"),
        "flow-images/006/2/006_1_2.png": ("surprise", "samm/006"),
    }


def test_flow_images_refuse_a_class_that_is_none(tmp_path: Path) -> None:
    (trees.flow_images(tmp_path) / "sub01/u_test/7").mkdir()
    with pytest.raises(Poison, match=r"sub01.*7"):
        READERS["flow-images"](tmp_path)


def spoil(sheet: Path, cell: str, value: object) -> None:
    book = load_workbook(sheet)
    book.worksheets[0][cell] = value
    book.save(sheet)


@pytest.mark.parametrize(
    ("name", "sheet", "cell", "value", "row"),
    [
        ("casme2", "CASME2-coding.xlsx", "D3", "soon", 3),
        ("casme2", "CASME2-coding.xlsx", "D3", None, 3),
        ("casme2", "CASME2-coding.xlsx", "D3", 12.5, 3),
        ("casme2", "CASME2-coding.xlsx", "B4", "EP99_99", 4),
        ("casme2", "CASME2-coding.xlsx", "I2", None, 2),
        ("samm", "SAMM_Micro_FACS_Codes_v2.xlsx", "D14", "x", 14),
        ("casme3", "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "B2", "z", 2),
        ("dfme", "part_A.xlsx", "H2", 0, 2),
        ("dfme", "part_A.xlsx", "G2", 9, 2),
        ("dfme", "part_A.xlsx", "G2", 4, 2),
        ("4dme", "4DME_Labelling_Micro.xlsx", "B3", "gone", 3),
        ("casme2-long", "CAS(ME)^2code_final.xlsx", "B2", "boredom_1", 2),
        ("casme2-long", "CAS(ME)^2code_final.xlsx", "A3", 7, 3),
        ("casme2-long", "CAS(ME)^2code_final.xlsx", "H1", "mini", 1),
        ("samm-lv", "SAMM_LongVideos_V1_Release.xlsx", "H11", "Mini", 11),
        ("samm-lv", "SAMM_LongVideos_V1_Release.xlsx", "B11", "006_9_1", 11),
    ],
)
def test_a_fault_is_named_by_file_and_row(
    tmp_path: Path, name: str, sheet: str, cell: str, value: object, row: int
) -> None:
    root = TREES[name](tmp_path)
    spoil(root / sheet, cell, value)
    with pytest.raises(Poison) as error:
        READERS[name](root)
    assert error.value.context["row"] == row
    assert Path(error.value.context["file"]) == root / sheet


def test_a_row_of_the_csv_is_named(tmp_path: Path) -> None:
    sheet = trees.csv(tmp_path) / "clips.csv"
    sheet.write_text(sheet.read_text("utf-8").replace("b/one", "b/none", 1), "utf-8")
    with pytest.raises(Poison, match=r"row=4"):
        READERS["csv"](tmp_path)


def test_a_csv_as_excel_writes_it_in_europe(tmp_path: Path) -> None:
    sheet = trees.csv(tmp_path) / "clips.csv"
    text = sheet.read_text("utf-8").replace(",", ";").replace("ann", "rené")
    sheet.write_bytes(text.encode("latin-1"))
    assert {clip.subject for clip in READERS["csv"](tmp_path)} == {"rené", "bob"}


def test_two_copies_of_the_frames_are_not_guessed_between(tmp_path: Path) -> None:
    root = trees.casme2(tmp_path)
    trees.frames(root / "RAW/sub01/EP02_01f", "img{}.jpg", range(46, 87), trees.nothing)
    with pytest.raises(Poison, match="several folders fit"):
        READERS["casme2"](root)


def test_two_sheets_are_not_guessed_between(tmp_path: Path) -> None:
    root = trees.samm(tmp_path)
    (root / "copy.xlsx").write_bytes((root / "SAMM_Micro_FACS_Codes_v2.xlsx").read_bytes())
    with pytest.raises(Fatal, match="several sheets fit"):
        READERS["samm"](root)


def test_what_an_open_excel_leaves_is_not_a_sheet(tmp_path: Path) -> None:
    root = trees.casme2(tmp_path)
    (root / "~$CASME2-coding.xlsx").write_bytes(b"lock")
    assert len(READERS["casme2"](root)) == 4


def test_old_excel_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    root = trees.casme2(tmp_path)
    (root / "CASME2-coding.xlsx").rename(root / "CASME2-coding.xls")
    with pytest.raises(Poison, match=r"save it as \.xlsx"):
        READERS["casme2"](root)


def test_a_broken_workbook_is_named(tmp_path: Path) -> None:
    root = trees.casme2(tmp_path)
    (root / "CASME2-coding.xlsx").write_bytes(b"not a zip")
    with pytest.raises(Poison, match=r"CASME2-coding\.xlsx"):
        READERS["casme2"](root)


def test_a_clip_that_is_there_twice_is_refused_with_both_rows(tmp_path: Path) -> None:
    root = trees.casme2(tmp_path)
    book = load_workbook(root / "CASME2-coding.xlsx")
    book.worksheets[0].append([cell.value for cell in book.worksheets[0][2]])
    book.save(root / "CASME2-coding.xlsx")
    with pytest.raises(Poison, match=r"row 2.*row 6"):
        read_clips(["casme2"], [root])


def test_a_composite_from_one_folder_or_from_several(tmp_path: Path) -> None:
    for name in ("casme2", "samm", "smic"):
        TREES[name](tmp_path / name)
    names = ["casme2", "samm", "smic"]
    together = read_clips(names, [tmp_path])
    assert len(together) == 4 + 3 + 3
    assert together == read_clips(names, [tmp_path / name for name in names])


@pytest.mark.parametrize(
    ("names", "roots"), [(["casme1"], 1), ([], 1), (["samm", "samm"], 2), (["samm", "smic", "casme2"], 2)]
)
def test_a_composite_that_makes_no_sense_is_refused(tmp_path: Path, names: list[str], roots: int) -> None:
    with pytest.raises(MicroexError):
        read_clips(names, [tmp_path] * roots)
