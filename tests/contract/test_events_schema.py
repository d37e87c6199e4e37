"""events.jsonl against its JSON Schema: what we write is valid, what breaks a promise is refused, and the page that
explains the fields explains them all."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from microex.v1 import graph_pb2
from services.analyze.events import event, schema
from tests.unit.analyze.made_up import graph

PAGE = Path(__file__).parents[2] / "docs" / "outputs.md"


def check(line: Any) -> None:
    Draft202012Validator(schema()).validate(line)


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_schema_ships_with_the_package() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("video", ["clip.mp4", "面试, \n 1.mp4", None])
def test_what_we_write_is_valid(video: str | None) -> None:
    answer = graph(sides={"AU12": graph_pb2.SIDE_LEFT})
    answer.aus[3].ClearField("intensity")
    check(json.loads(json.dumps(event(answer, video))))


def test_a_live_camera_and_an_untrained_model_are_valid() -> None:
    answer = graph(active=[], edges=[])
    answer.onset.time_us = 1_764_000_000_123_456
    answer.model.trained = False
    check(event(answer, None))


def _set(path: str, value: Any) -> Callable[[Any], None]:
    def change(line: Any) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            line = line[part]
        line[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "nano"),
        ("window_id", "not a hash"),
        ("camera", "a/b"),
        ("session", ""),
        ("track", "1"),
        ("onset_frame", -1),
        ("onset_s", "1.0"),
        ("fps", 0),
        ("video", ""),
        ("emotion.probabilities.positive", 1.01),
        ("emotion.certainty", 1),
        ("aus.0.side", "middle"),
        ("aus.0.intensity", 1.5),
        ("aus.0.probability", None),
        ("aus.0.au", "12"),
        ("graph.nodes.0.kind", "roi"),
        ("graph.edges.0.kind", "au"),
        ("graph.edges.0.weight", -0.1),
        ("frame_weights.0.weight", 2),
        ("roi_weights.chin", "much"),
        ("model.digest", "abc"),
        ("model.trained", None),
        ("something_else", 1),
    ],
)
def test_a_line_that_breaks_a_promise_is_refused(path: str, value: Any) -> None:
    line = copy.deepcopy(event(graph(), "clip.mp4"))
    check(line)
    _set(path, value)(line)
    with pytest.raises(ValidationError):
        check(line)


@pytest.mark.parametrize("field", schema()["required"])
def test_no_field_may_be_missing(field: str) -> None:
    line = event(graph(), "clip.mp4")
    del line[field]
    with pytest.raises(ValidationError, match=field):
        check(line)


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if "properties" in part:
            yield part
        for value in part.values():
            yield from _objects(value)
    elif isinstance(part, list):
        for value in part:
            yield from _objects(value)


def test_every_object_is_closed_and_needs_all_its_fields() -> None:
    for part in _objects(schema()):
        assert part["additionalProperties"] is False
        assert set(part["required"]) == set(part["properties"])


def test_the_page_explains_every_field() -> None:
    page = PAGE.read_text("utf-8")
    explained = {part for name in re.findall(r"`([A-Za-z0-9_.]+)`", page) for part in name.split(".")}
    named = {name for part in _objects(schema()) for name in part["properties"]}
    assert not named - explained, "docs/outputs.md leaves out these fields"
