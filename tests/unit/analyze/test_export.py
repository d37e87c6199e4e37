"""What the records of the topics come to; reading them from a real Kafka is in tests/e2e/test_analyze.py."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from microex.v1 import graph_pb2, stream_pb2, window_pb2
from services.analyze.export import Session, _move, _origin_us, _take, newest
from services.analyze.report import Report
from services.motion.rois import REGIONS
from tests.unit.analyze.made_up import graph, stream, window


@dataclass
class Record:
    key: bytes
    value: bytes | None
    topic: str = "t"
    partition: int = 0
    offset: int = 0
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def take(known: Session, key: str, message: Any) -> None:
    into: dict[str, Any] = known.windows if isinstance(message, window_pb2.ApexWindow) else known.graphs
    _take(known, into, type(message), "local", Record(key.encode(), message.SerializeToString()))


def test_the_newest_record_of_an_id_counts() -> None:
    known = Session()
    for emotion in ("negative", "surprise"):
        take(known, "a", graph(emotion=emotion))
    assert known.graphs["a"].emotion.label == "surprise" and len(known.graphs) == 1


@pytest.mark.parametrize("value", [None, b"\xff\xff not a message"])
def test_a_tombstone_and_an_unreadable_record_end_the_older_one(value: bytes | None) -> None:
    known = Session()
    take(known, "a", graph())
    _take(known, known.graphs, graph_pb2.AuGraph, "local", Record(b"a", value))
    assert not known.graphs and known.unreadable == (value is not None)


def test_other_sessions_are_left_out() -> None:
    known = Session()
    take(known, "a", graph(stream=stream(session="other")))
    assert not known.graphs and not known.unreadable


def test_windows_are_kept_without_their_tensors() -> None:
    known = Session()
    take(known, "a", window(graph()))
    assert not known.windows["a"].HasField("motion") and known.windows["a"].apex_jpeg


def test_of_several_models_the_one_that_answered_last_counts() -> None:
    first, second = graph(prediction_id="1"), graph(prediction_id="2")
    second.model.digest = "d" * 64
    later = graph(0.5, 0.7, prediction_id="3")
    assert [answer.prediction_id for answer in newest({"1": first, "2": second, "3": later})] == ["3", "2"]


def test_files_count_from_their_own_zero_and_live_cameras_from_a_whole_second() -> None:
    assert _origin_us([graph(7.3, 7.5)]) == 0
    assert _origin_us([graph(7.3, 7.5, time_base=stream_pb2.TIME_BASE_UTC)]) == 7_000_000


def test_curves_of_another_region_table_are_left_out() -> None:
    seen: list[int] = []

    class Seen(Report):
        def __init__(self) -> None:
            pass

        def move(self, track: str, time_us: int, magnitudes: Any) -> None:
            assert track == "0.0.0" and len(magnitudes) == len(REGIONS)
            seen.append(time_us)

    full, other = window(graph()), window(graph())
    other.curves.curves[0].region = "left ear"
    _move(Seen(), other)
    assert not seen
    _move(Seen(), full)
    assert seen == list(full.curves.time_us)
