import pytest

from microex.v1 import graph_pb2, window_pb2
from services.analyze.events import event, mark
from services.common.errors import Poison
from services.motion.aus import AUS
from services.motion.rois import ROIS
from tests.unit.analyze.made_up import graph


def test_an_event_says_who_when_and_what() -> None:
    said = event(graph(1.0, 1.4), "clip.mp4")
    assert (said["video"], said["session"], said["camera"], said["track"]) == ("clip.mp4", "local", "clip", "0.0.0")
    assert (said["kind"], said["onset_frame"], said["apex_frame"], said["offset_frame"]) == ("micro", 25, 30, 35)
    assert (said["onset_s"], said["apex_s"], said["offset_s"]) == (1.0, 1.2, 1.4)
    assert said["emotion"] == {
        "label": "positive",
        "probabilities": {"negative": 0.2, "positive": 0.6, "surprise": 0.2},
    }
    assert said["model"] == {"name": "stag", "version": "1", "digest": "c" * 64, "trained": True}


def test_time_keeps_its_microseconds() -> None:
    answer = graph()
    answer.onset.time_us = 1_764_000_000_123_457
    assert event(answer, None)["onset_s"] * 1e6 == pytest.approx(1_764_000_000_123_457, abs=0.5)


def test_every_au_is_there_and_an_unknown_intensity_is_null() -> None:
    answer = graph(sides={"AU12": graph_pb2.SIDE_LEFT})
    answer.aus[0].ClearField("intensity")
    aus = {au["au"]: au for au in event(answer, None)["aus"]}
    assert list(aus) == [au.code for au in AUS]
    assert aus["AU1"]["intensity"] is None
    assert aus["AU12"] == {
        "au": "AU12",
        "name": "lip corner puller",
        "side": "left",
        "probability": 0.9,
        "intensity": 0.3,
        "active": True,
    }


def test_every_edge_joins_two_nodes_that_say_what_they_are() -> None:
    drawn = event(graph(), None)["graph"]
    nodes = {node["id"]: node for node in drawn["nodes"]}
    assert len(nodes) == len(drawn["nodes"]) == len(AUS) + len(ROIS)
    assert all(edge["source"] in nodes and edge["target"] in nodes for edge in drawn["edges"])
    assert nodes["AU12"]["name"] == "lip corner puller"
    assert "zygomaticus" in nodes["lip_corner_left"]["name"]
    assert [edge["kind"] for edge in drawn["edges"]] == ["au-au", "roi-au", "roi-roi"]


def test_a_mark_names_the_side_of_an_active_au() -> None:
    made = mark(graph(active=["AU4", "AU12"], sides={"AU12": graph_pb2.SIDE_RIGHT}))
    assert made.aus == ("AU4", "AU12 right")
    assert (made.emotion, made.probability) == ("positive", pytest.approx(0.6))


@pytest.mark.parametrize(
    "broken",
    [graph(kind=window_pb2.KIND_UNSPECIFIED), graph(edges=[graph_pb2.Edge(source="AU6", target="AU12")])],
    ids=["kind", "edge"],
)
def test_what_was_never_set_is_poison(broken: graph_pb2.AuGraph) -> None:
    with pytest.raises(Poison, match="unknown value"):
        event(broken, None)
