"""Small trees in the layout of each data set, traps included; frames are what `write` makes of them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from openpyxl import Workbook

Cells = Sequence[object]
Write = Callable[[Path, int], None]


def nothing(path: Path, _number: int) -> None:
    """A frame for readers, which never look into one."""
    path.write_bytes(b"")


def workbook(path: Path, pages: dict[str, Iterable[Cells]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for title, rows in pages.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def frames(folder: Path, pattern: str, numbers: Iterable[int], write: Write) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write(folder / pattern.format(number), number)
    return folder


CASME2_HEADER = (
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
)


def casme2(root: Path, write: Write = nothing, header: Cells = CASME2_HEADER) -> Path:
    """Subjects 1, "02" and "sub03"; a missing apex, a wrong offset, an emotion that no protocol takes."""
    rows = {
        "subject": (1, "02", "sub03", 3),
        "name": ("EP02_01f", "EP03_02", "EP04_04", "EP04_04f"),
        "onset": (46, 100, 10, 1),
        "apex": (59, "/", 25, 9),
        "offset": (86, 140, 20, 30),
        "aus": ("R4+L10", 4, "14C/15", "12 or 14"),
        "emotion": ("Happiness", "disgust", "repression", "sadness"),
    }
    known = {
        "Subject": "subject",
        "Filename": "name",
        "OnsetFrame": "onset",
        "ApexFrame": "apex",
        "OffsetFrame": "offset",
        "Action Units": "aus",
        "Estimated Emotion": "emotion",
    }
    lines = [[rows[known[name]][i] if name in known else None for name in header] for i in range(4)]
    workbook(root / "CASME2-coding.xlsx", {"Sheet1": [header, *lines]})
    frames(root / "Cropped/sub01/EP02_01f", "reg_img{}.jpg", range(46, 87), write)
    frames(root / "Cropped/sub02/EP03_02", "reg_img{}.jpg", range(100, 141), write)
    frames(root / "Cropped/sub03/EP04_04", "reg_img{}.jpg", range(10, 41), write)
    frames(root / "Cropped/sub03/EP04_04f", "reg_img{}.jpg", range(1, 31), write)
    return root


SAMM_HEADER = (
    "Subject",
    "Filename",
    "Inducement Code",
    "Onset Frame",
    "Apex Frame",
    "Offset Frame",
    "Duration",
    "Micro",
    "Action Units",
    "Estimated Emotion",
    "Objective Classes",
    "Notes",
)


def samm(root: Path, write: Write = nothing, preamble: int = 12) -> Path:
    """The header below a page of text, lost zeros, -1 and blank for an apex."""
    text = [(f"About this file, line {i}",) for i in range(preamble)]
    rows: list[Cells] = [
        ("006", "006_1_2", 1, 5562, 5588, 5632, 71, "1/2", "4 or 7", "Anger", "III", None),
        (7, "7_3_1", 3, 20, -1, 60, 41, "1/2", "R6B+R12B", "Happiness", "I", None),
        ("007", "007_3_2", 3, 101, None, 150, 50, "1/2", "(R6 or R12)", "Other", "VII", "unsure"),
    ]
    workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO ONLY": [*text, SAMM_HEADER, *rows]})
    frames(root / "006/006_1_2", "006_{:05d}.jpg", range(5562, 5633), write)
    frames(root / "007/007_3_1", "007_{:05d}.jpg", range(20, 61), write)
    frames(root / "007/007_3_2", "007_{:05d}.jpg", range(101, 151), write)
    return root


def smic(root: Path, write: Write = nothing) -> Path:
    """s1 and s02; numbers of the recording."""
    frames(root / "HS/s1/micro/negative/s1_ne_01", "image{}.jpg", range(1134, 1160), write)
    frames(root / "HS/s1/micro/surprise/s1_sur_02", "image{}.jpg", range(40, 70), write)
    frames(root / "HS/s02/micro/positive/s02_po_01", "image{}.jpg", range(7, 30), write)
    return root


CASME3_HEADER = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")


def casme3(root: Path, write: Write = nothing) -> Path:
    """An apex at the onset, an onset of 0 where files begin at 1, a clip of its own folder, a sheet for macros."""
    micro: list[Cells] = [
        ("spNO.1", "a", 20, 25, 34, "4,7", 1, "disgust"),
        ("spNO.1", "a", 60, 60, 75, 12, 2, "happy"),
        ("spNO.1", "b", 0, 6, 12, "AD38+57", 3, "Others"),
        ("spNO.10", "c", 116, 120, 130, "1+2+5", 4, "surprise"),
    ]
    macro: list[Cells] = [("spNO.1", "a", 40, 48, 58, "6+12", 2, "happy")]
    workbook(root / "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"label": [CASME3_HEADER, *micro]})
    workbook(root / "annotation/cas(me)3_part_A_MaE_label_JpgIndex_v2.xlsx", {"label": [CASME3_HEADER, *macro]})
    frames(root / "part_A/spNO.1/a/color", "{}.jpg", range(1, 91), write)
    frames(root / "part_A/spNO.1/b/color", "{}.jpg", range(1, 31), write)
    frames(root / "part_A/spNO.1/d/color", "{}.jpg", range(1, 31), write)
    frames(root / "part_A/spNO.10/spNO.10_c_116", "{}.jpg", range(116, 131), write)
    return root


def dfme(root: Path, write: Write = nothing) -> Path:
    """Two sheets, three frame rates, an emotion that is only a number."""
    header = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU")
    workbook(
        root / "part_A.xlsx",
        {
            "A": [
                header,
                (3, "10003_0", 5, 40, 80, "anger", 0, 200, "4+AD38"),
                (3, "10003_1", 1, 60, 120, None, 6, 500, "1+2+5+M57"),
            ]
        },
    )
    workbook(root / "part_B.xlsx", {"B": [header, ("11004", "11004_2", 9, 30, 70, "contempt", 1, 300, "L12")]})
    frames(root / "part_A/10003_0", "{:04d}.png", range(5, 81), write)
    frames(root / "part_A/10003_1", "{:04d}.png", range(1, 121), write)
    frames(root / "part_B/11004_2", "{:04d}.png", range(9, 71), write)
    return root


def fourdme(root: Path, write: Write = nothing) -> Path:
    """AUs in brackets, AUs only in columns, several emotions for a clip."""
    header = ("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs", "AU1", "AU4", "AU12")
    rows: list[Cells] = [
        ("01", "01_a_1", "Positive", 30, 36, 42, "12+(14)", 0, 0, 1),
        ("01", "01_b_1", "Negative/Repression", 1, 9, 20, None, 0, 1, 0),
        ("02", "02_a_1", "Negative, Surprise", 1, 9, 20, "1+4", 1, 1, 0),
        ("02", "02_b_1", "Surprise", 1, 9, 20, "1+2", 1, 0, 0),
    ]
    workbook(root / "4DME_Labelling_Micro.xlsx", {"micro": [header, *rows]})
    frames(root / "gray_micro/sub01/01_a_1", "{:03d}.jpg", range(30, 43), write)
    frames(root / "gray_micro/sub01/01_b_1", "{:03d}.jpg", range(1, 21), write)
    frames(root / "gray_micro/sub02/02_a_1", "{:03d}.jpg", range(1, 21), write)
    frames(root / "gray_micro/sub02/02_b_1", "{:03d}.jpg", range(1, 21), write)
    return root


def casme2_long(root: Path, write: Write = nothing) -> Path:
    """No headers, an offset of 0, an apex after its offset, a word misspelt, a recording without expressions."""
    rows: list[Cells] = [
        (1, "anger1_1", 10, 18, 24, "4", "negative", "micro-expression", "anger"),
        (1, "anger1_2", 50, 60, 0, "4+7", "negative", "macro-expression", "anger"),
        (1, "happy1_1", 20, 40, 30, "12", "positive", "micro-expression", "happyiness"),
        (2, "disgust1_1", 5, 12, 20, "4+9", "negative", "micro-expression", "disgust"),
    ]
    workbook(
        root / "CAS(ME)^2code_final.xlsx",
        {
            "CASFEcode_final": rows,
            "naming rule1": [(15, "s15", 1), (16, "s16", 2)],
            "naming rule2": [("0502", "anger1"), (505, "happy1"), ("0101", "disgust1")],
        },
    )
    frames(root / "rawpic/s15/15_0502angry", "img{:03d}.jpg", range(1, 91), write)
    frames(root / "rawpic/s15/15_0505funny", "img{:03d}.jpg", range(1, 61), write)
    frames(root / "rawpic/s16/16_0101disgustingteeth", "img{:03d}.jpg", range(1, 41), write)
    frames(root / "rawpic/s16/16_0505funny", "img{:03d}.jpg", range(1, 31), write)
    return root


def samm_lv(root: Path, write: Write = nothing) -> Path:
    """The header on row 10, fractions of frames, -1, Macro, a recording without expressions; SAMM's sheet beside."""
    header = (
        "Subject",
        "Filename",
        "Inducement Code",
        "Onset",
        "Apex",
        "Offset",
        "Duration",
        "Type",
        "Action Units",
        "Notes",
    )
    rows: list[Cells] = [
        ("006", "006_1_2", 1, 20, 30, 60, 41, "Micro - 1/2", "4 or 7", None),
        ("006", "006_1_3", 1, 70.5, -1, 190.25, 120, "Macro", "12", None),
        (7, "7_3_1", 3, 10, -1, 50, 41, "Micro - 1/2", "R6B+R12B", None),
    ]
    workbook(root / "SAMM_LongVideos_V1_Release.xlsx", {"LV": [*[("text",)] * 9, header, *rows]})
    micro: list[Cells] = [
        ("006", "006_1_2", 1, 20, 30, 60, 41, "1/2", "4", "Anger", "III", None),
        ("007", "007_3_1", 3, 10, -1, 50, 41, "1/2", "6", "Happiness", "I", None),
    ]
    workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO": [SAMM_HEADER, *micro]})
    for video, length in (("006_1", 200), ("006_2", 20), ("007_3", 60)):
        frames(root / "SAMM_longvideos" / video, video + "_{:04d}.jpg", range(1, length + 1), write)
    return root


def csv(root: Path, write: Write = nothing) -> Path:
    """A blank apex, and no offset."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "clips.csv").write_text(
        "clip,subject,fps,onset,apex,offset,emotion,aus\n"
        "a/one,ann,50,0,10,20,happiness,6+12\n"
        "a/two,ann,50,5,,25,fear,\n"
        "b/one,bob,25,0,4,,others,none\n"
        "b/two,bob,25,1,6,12,surprise,1+2+5\n",
        "utf-8",
    )
    frames(root / "a/one", "{:03d}.png", range(0, 30), write)
    frames(root / "a/two", "{:03d}.png", range(0, 30), write)
    frames(root / "b/one", "{:03d}.png", range(0, 15), write)
    frames(root / "b/two", "{:03d}.png", range(0, 15), write)
    return root


def flow_images(root: Path, write: Write = nothing) -> Path:
    """Subjects of three sets, spaces in names, equal names in two classes, u_train repeated or absent."""
    for subject, kind, name in (
        ("sub01", 0, "EP02 01f.png"),
        ("sub01", 1, "1.png"),
        ("s1", 0, "1.png"),
        ("s1", 2, "1.png"),
        ("006", 2, "006_1_2.png"),
    ):
        for part, holder in (("u_test", subject), ("u_train", "006" if subject != "006" else "sub01")):
            folder = root / holder / part / str(kind)
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / name, kind)
    return root
