"""AU cells as coders write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab.datasets.aus import AuCell, CodedAu, occurrence, parse_aus, without_brackets
from services.motion.aus import AU_INDEX, AUS

AU4, AU12 = CodedAu("AU4"), CodedAu("AU12")


@pytest.mark.parametrize(
    ("cell", "coded"),
    [
        ("4", [[AU4]]),
        (4, [[AU4]]),
        (4.0, [[AU4]]),
        ("4+12", [[AU4], [AU12]]),
        ("4, 12", [[AU4], [AU12]]),
        ("4 12", [[AU4], [AU12]]),
        ("４＋１２", [[AU4], [AU12]]),
        ("AU4 + au12", [[AU4], [AU12]]),
        ("L12", [[CodedAu("AU12", ("left",))]]),
        ("R12B", [[CodedAu("AU12", ("right",), ("B",))]]),
        ("T23", [[CodedAu("AU23", ("top",))]]),
        ("B18", [[CodedAu("AU18", ("bottom",))]]),
        ("18B", [[CodedAu("AU18", (), ("B",))]]),
        ("A12", [[CodedAu("AU12", ("asymmetric",))]]),
        ("A/L12", [[CodedAu("AU12", ("asymmetric", "left"))]]),
        ("4(B/C)", [[CodedAu("AU4", (), ("B", "C"))]]),
        ("10A/B", [[CodedAu("AU10", (), ("A", "B"))]]),
        ("4/12", [[AU4, AU12]]),
        ("4 or 12", [[AU4, AU12]]),
        ("4or12", [[AU4, AU12]]),
        ("(R6 or R12)", [[CodedAu("AU6", ("right",)), CodedAu("AU12", ("right",))]]),
        ("4+(R6 or R12)", [[AU4], [CodedAu("AU6", ("right",)), CodedAu("AU12", ("right",))]]),
        ("14C/15", [[CodedAu("AU14", (), ("C",)), CodedAu("AU15")]]),
        ("ref(10)", [[CodedAu("AU10", reference=True)]]),
        ("AD38", [[CodedAu("AD38")]]),
        ("4+M57", [[AU4], [CodedAu("M57")]]),
        ("none", []),
        ("0", []),
    ],
)
def test_known_notations(cell: object, coded: list[list[CodedAu]]) -> None:
    assert parse_aus(cell) == AuCell(tuple(tuple(item) for item in coded))


@pytest.mark.parametrize("cell", [None, "", " ", "/", "-", "?", "nan", "N/A"])
def test_nothing_coded_is_not_the_same_as_no_au(cell: object) -> None:
    assert parse_aus(cell) is None


@pytest.mark.parametrize(
    "cell", ["lip bite", "maybe at frame 12", "1984", "2014-12-04 00:00:00", "4L4", "A", "((", "12/"]
)
def test_free_text_is_kept_and_gives_no_code(cell: str) -> None:
    parsed = parse_aus(cell)
    assert parsed is not None
    assert parsed.coded == ()
    assert "".join(parsed.unread).replace(" ", "") == cell.upper().replace(" ", "")


def test_free_text_beside_codes_leaves_the_codes() -> None:
    assert parse_aus("4+lip bite+12") == AuCell(((AU4,), (AU12,)), ("LIP BITE",))


def test_brackets_can_be_dropped() -> None:
    assert without_brackets("12+(14)") == "12"
    assert without_brackets("（14）") == ""


def test_targets_know_what_the_coder_was_sure_of() -> None:
    target, known = occurrence(parse_aus("R4+(6 or 12)+ref(10)+AD38"))
    assert {AUS[i].code for i in target.nonzero()[0]} == {"AU4"}
    assert {AUS[i].code for i in (~known).nonzero()[0]} == {"AU6", "AU12", "AU10"}


def test_either_intensity_of_one_au_is_that_au() -> None:
    target, known = occurrence(parse_aus("10A/B"))
    assert target[AU_INDEX["AU10"]] == 1
    assert known.all()


def test_without_coding_nothing_is_known_and_with_none_everything_is() -> None:
    assert not occurrence(None)[1].any()
    target, known = occurrence(parse_aus("none"))
    assert known.all()
    assert not target.any()


_codes = st.builds(
    CodedAu,
    st.builds("{}{}".format, st.sampled_from(["AU", "AD", "M"]), st.integers(1, 99)),
    st.lists(st.sampled_from(["left", "right", "top", "bottom", "asymmetric"]), max_size=1).map(tuple),
    st.lists(st.sampled_from("ABCDE"), max_size=1).map(tuple),
)
_cells = st.lists(st.lists(_codes, min_size=1, max_size=3).map(tuple), min_size=1, max_size=5).map(tuple)


def written(code: CodedAu) -> str:
    sides = "".join(side[0].upper() for side in code.sides)
    return sides + code.code.removeprefix("AU") + "".join(code.intensities)


@given(_cells, st.sampled_from(["+", ", ", " + ", ";"]), st.sampled_from(["/", " or ", " OR "]))
def test_what_is_written_down_is_read_back(coded: tuple[tuple[CodedAu, ...], ...], plus: str, either: str) -> None:
    cell = plus.join(f"({either.join(written(code) for code in item)})" for item in coded)
    assert parse_aus(cell) == AuCell(coded)


@given(
    st.one_of(st.text(), st.text(alphabet="0123456789LRTBAEDMUrefo()/+,; "), st.floats(), st.integers(), st.booleans())
)
def test_no_cell_raises(cell: object) -> None:
    parsed = parse_aus(cell)
    occurrence(parsed)
    assert parsed is None or all(parsed.coded)
