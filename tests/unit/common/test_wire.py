"""Messages on their way: what is poison, what a dead letter keeps, how a trace goes on."""

import hashlib
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microex.v1 import consent_pb2, frame_pb2, stream_pb2
from services.common import wire
from services.common.errors import Poison

FRAME = frame_pb2.FaceFrame(stream=stream_pb2.StreamKey(session="s", camera="c", track="0.0.0"), sequence=3)
TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass
class Record:
    """A consumed record of no particular client."""

    topic: str = "microex.face-frames.v1"
    partition: int = 2
    offset: int = 40
    key: bytes | None = b"s/c/0.0.0"
    value: bytes | None = b"\xff"
    headers: list[tuple[str, bytes]] = field(default_factory=lambda: [("schema", b"other"), ("schema", b"\xff")])


def test_what_was_sent_is_read() -> None:
    value, headers = FRAME.SerializeToString(), wire.headers(frame_pb2.FaceFrame)
    assert wire.decode(frame_pb2.FaceFrame, value, headers) == FRAME
    assert wire.decode(frame_pb2.FaceFrame, value) == FRAME, "headers are not required"


@pytest.mark.parametrize(
    ("value", "schema", "text"),
    [
        (None, None, "empty record"),
        (b"", None, "empty record"),
        (b"\xff\xff\xff", None, "bytes that are no such message"),
        (FRAME.SerializeToString()[:-3], None, "bytes that are no such message"),
        (FRAME.SerializeToString(), b"microex.v1.FaceFrame;version=2", "record of another schema"),
        (FRAME.SerializeToString(), b"microex.v1.Consent;version=1", "record of another schema"),
        (FRAME.SerializeToString(), b"\xff", "record of another schema"),
    ],
)
def test_poison(value: bytes | None, schema: bytes | None, text: str) -> None:
    with pytest.raises(Poison, match=text):
        wire.decode(frame_pb2.FaceFrame, value, [("schema", schema)] if schema else [])


@given(st.binary(max_size=200))
def test_bytes_are_a_message_or_poison_and_nothing_else(value: bytes) -> None:
    try:
        message = wire.decode(frame_pb2.FaceFrame, value)
    except Poison:
        return
    assert isinstance(message, frame_pb2.FaceFrame)


@pytest.mark.parametrize("record", [Record(), Record(key=None, value=None, headers=[]), Record(key=b"", value=b"")])
def test_a_dead_letter_holds_all_that_is_needed_to_send_it_again(record: Record) -> None:
    letter = wire.dead_letter(record, Poison("no such message", size=1), "spotter")
    read = type(letter).FromString(letter.SerializeToString())
    assert (read.topic, read.partition, read.offset) == (record.topic, record.partition, record.offset)
    assert (read.key if read.HasField("key") else None) == record.key
    assert (read.payload if read.HasField("payload") else None) == record.value
    assert [(header.name, header.value) for header in read.headers] == record.headers
    assert (read.error_class, read.error_text) == ("Poison", "no such message (size=1)")
    assert read.service == "spotter" and read.failed_us > 0


def test_the_largest_message_still_fits_into_a_dead_letter_and_a_request() -> None:
    record = Record(value=bytes(wire.MAX_MESSAGE_BYTES), key=b"k" * 400)
    size = wire.dead_letter(record, Poison("x" * 1000), "spotter").ByteSize()
    assert size < int(wire.DEAD_LETTERS.config["max.message.bytes"]) < wire.MAX_REQUEST_BYTES


@pytest.mark.parametrize(
    ("record", "absent"),
    [
        (Record(value=bytes(700_000)), {"payload"}),
        (Record(value=bytes(500_000), key=b"k" * 50_000), {"payload"}),  # the letter's record has the key once more
        (Record(headers=[("big", bytes(700_000))]), {"payload", "headers"}),
        (Record(key=b"k" * 700_000), {"payload", "headers", "key"}),
        (Record(value=bytes(700_000), key=None, headers=[("schema", b"x" * 700_000)]), {"payload", "headers", "key"}),
    ],
)
def test_a_dead_letter_fits_whatever_was_wrong(record: Record, absent: set[str]) -> None:
    """Else one record that came compressed would stop every service that reads it, at every start."""
    letter = wire.dead_letter(record, Poison("x" * 700_000), "spotter")
    key, headers = wire.letter_key(letter), dict(wire.headers(type(letter)))
    size = letter.ByteSize() + len(key) + sum(len(name) + len(value) for name, value in headers.items())
    assert key and size < int(wire.DEAD_LETTERS.config["max.message.bytes"]) - 500
    assert {"payload", "headers", "key"} - {field.name for field, _ in letter.ListFields()} == absent
    assert (letter.topic, letter.partition, letter.offset) == (record.topic, record.partition, record.offset)
    assert f"{len(record.value or b'')} bytes, SHA-256 {hashlib.sha256(record.value or b'').hexdigest()}" in (
        letter.error_text
    )


def test_headers_name_the_schema_and_carry_a_trace() -> None:
    headers = dict(wire.headers(consent_pb2.Consent))
    assert headers["schema"] == b"microex.v1.Consent;version=1"
    assert TRACE.fullmatch(headers["traceparent"])


def test_a_child_stays_in_its_parent_s_trace_with_a_span_of_its_own() -> None:
    parent = wire.child_trace()
    child = wire.child_trace(parent)
    assert TRACE.fullmatch(parent)[1] == TRACE.fullmatch(child)[1]  # type: ignore[index]
    assert TRACE.fullmatch(parent)[2] != TRACE.fullmatch(child)[2]  # type: ignore[index]


@given(st.binary(max_size=60))
def test_whatever_comes_as_a_trace_a_valid_one_goes_on(parent: bytes) -> None:
    assert TRACE.fullmatch(wire.child_trace(parent))


@pytest.mark.parametrize("parent", [b"00-" + b"z" * 32 + b"-" + b"1" * 16 + b"-01", b"00-" + b"0" * 32 + b"-1-01"])
def test_an_invalid_trace_is_not_continued(parent: bytes) -> None:
    assert TRACE.fullmatch(wire.child_trace(parent))


def test_streams_share_the_partitions_of_every_topic_that_holds_them() -> None:
    assert wire.FACE_FRAMES.partitions == wire.APEX_WINDOWS.partitions == wire.AU_GRAPHS.partitions


def test_what_was_deleted_is_gone_within_hours() -> None:
    for topic in (wire.APEX_WINDOWS, wire.AU_GRAPHS, wire.CONSENTS):
        assert int(topic.config["max.compaction.lag.ms"]) <= wire.HOUR_MS >= int(topic.config["segment.ms"])
