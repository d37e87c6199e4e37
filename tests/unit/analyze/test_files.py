import csv
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analyze.events import Event, event
from services.analyze.files import JsonLines, read_events, row, whole, write_csv, write_json
from services.common.errors import Fatal
from tests.unit.analyze.made_up import graph, stream

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
seconds = st.floats(0, 1e5).map(lambda x: round(x, 3))


@st.composite
def made_events(draw: st.DrawFn) -> Event:
    onset = draw(seconds)
    made = graph(onset, onset + draw(st.floats(0.04, 5)), stream=stream(session=draw(words), camera=draw(words)))
    return event(made, draw(st.one_of(st.none(), words)))


def write(folder: Path, events: list[Event]) -> None:
    with JsonLines(folder / "events.jsonl") as log:
        for each in events:
            log.add(each)
        log.close()
    write_csv(folder / "events.csv", folder / "events.jsonl")


@given(st.lists(made_events(), max_size=4))
def test_jsonl_and_csv_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    folder = tmp_path_factory.mktemp("events")
    write(folder, events)
    assert list(read_events(folder / "events.jsonl")) == events
    with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(cell) for name, cell in row(each).items()} for each in events]


def test_csv_has_a_column_for_every_emotion_and_every_number_of_an_au(tmp_path: Path) -> None:
    write(tmp_path, [event(graph(), 'a "b", c\nd 面试.mp4')])
    raw = (tmp_path / "events.csv").read_bytes()
    assert raw.count(b"\r\n") == 2 and raw.endswith(b"\r\n")
    cells = next(csv.DictReader(raw.decode().splitlines(keepends=True)))
    assert cells["video"] == 'a "b", c\nd 面试.mp4'
    assert (cells["emotion"], cells["emotion_positive"], cells["emotion_negative"]) == ("positive", "0.6", "0.2")
    assert [cells[f"AU12_{what}"] for what in ("active", "probability", "intensity", "side")] == [
        "true", "0.9", "0.3", "both",
    ]  # fmt: skip
    assert cells["AU1_active"] == "false"


def test_csv_of_no_events_has_its_header_and_no_row(tmp_path: Path) -> None:
    write(tmp_path, [])
    header, rest = (tmp_path / "events.csv").read_text("utf-8").split("\n", 1)
    assert header.startswith("window_id,video,session,camera,track,kind,onset_frame") and rest == ""


def test_an_unknown_intensity_is_an_empty_cell(tmp_path: Path) -> None:
    answer = graph()
    answer.aus[0].ClearField("intensity")
    write(tmp_path, [event(answer, None)])
    with (tmp_path / "events.csv").open(encoding="utf-8", newline="") as file:
        cells = next(csv.DictReader(file))
    assert cells["AU1_intensity"] == "" and cells["video"] == ""


def test_each_line_is_whole_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "events.jsonl") as log:
        for number in range(1, 4):
            log.add(event(graph(float(number), number + 0.4), None))
            lines = (tmp_path / ".part-events.jsonl").read_text("utf-8").splitlines()
            assert [json.loads(line)["onset_s"] for line in lines] == list(range(1, number + 1))


@pytest.mark.parametrize("writer", ["jsonl", "csv", "json"])
def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path, writer: str) -> None:
    name = {"jsonl": "events.jsonl", "csv": "events.csv", "json": "summary.json"}[writer]
    (tmp_path / name).write_text("old", "utf-8")
    with pytest.raises((RuntimeError, json.JSONDecodeError, ValueError)):
        _fail(writer, tmp_path)
    assert (tmp_path / name).read_text("utf-8") == "old"
    assert not list(tmp_path.glob(".part-*"))


def _fail(writer: str, folder: Path) -> None:
    if writer == "jsonl":
        with JsonLines(folder / "events.jsonl") as log:
            log.add(event(graph(), None))
            raise RuntimeError
    if writer == "csv":
        (folder / "broken.jsonl").write_text("{", "utf-8")
        write_csv(folder / "events.csv", folder / "broken.jsonl")
    broken: dict[str, Any] = {"fps": float("nan")}
    write_json(folder / "summary.json", broken)


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with whole(tmp_path / "x.png") as part:
        part.write_bytes(b"half")
        assert not (tmp_path / "x.png").exists() and part.suffix == ".png"
    assert (tmp_path / "x.png").read_bytes() == b"half"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a hundred bytes: the system refuses to write on, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_of_the_folder_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(Fatal) as lines, JsonLines(tmp_path / "events.jsonl") as log:
        log.add({"text": "x" * 200})
    with full_disk(), pytest.raises(Fatal) as other:
        write_json(tmp_path / "summary.json", {"text": "x" * 200})
    for error in (lines.value, other.value):
        assert str(error).startswith("results cannot be written there") and error.context["folder"] == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="No such file"):
        write_json(tmp_path / "gone" / "summary.json", {})
