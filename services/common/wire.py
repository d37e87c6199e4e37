"""How messages travel: names of topics, headers, decoding that tells poison, dead letters. Knows no Kafka client."""

import hashlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from microex.v1 import consent_pb2, dead_letter_pb2, frame_pb2, graph_pb2, window_pb2
from services.common.errors import MicroexError, Poison

SCHEMA_VERSION: Final = "1"
MAX_MESSAGE_BYTES: Final = 512 * 1024
MAX_REQUEST_BYTES: Final = 1024 * 1024
"""One request of a producer at the most, as brokers take it by default."""

Headers = list[tuple[str, bytes]]

HOUR_MS: Final = 3_600_000

_TRACE: Final = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Topic:
    """One topic: its name, what a value is, how many partitions it is made with, and its configuration."""

    name: str
    message: type[Message]
    partitions: int
    config: dict[str, str]


FACE_FRAMES: Final = Topic(
    "microex.face-frames.v1",
    frame_pb2.FaceFrame,
    12,
    {
        "cleanup.policy": "delete",
        "retention.ms": str(HOUR_MS),
        "segment.ms": str(HOUR_MS // 6),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    },
)
APEX_WINDOWS: Final = Topic(
    "microex.apex-windows.v1",
    window_pb2.ApexWindow,
    12,
    {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(7 * 24 * HOUR_MS),
        "segment.ms": str(HOUR_MS),
        "max.compaction.lag.ms": str(HOUR_MS),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    },
)
AU_GRAPHS: Final = Topic(
    "microex.au-graphs.v1",
    graph_pb2.AuGraph,
    12,
    {
        "cleanup.policy": "compact",
        "segment.ms": str(HOUR_MS),
        "max.compaction.lag.ms": str(HOUR_MS),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    },
)
CONSENTS: Final = Topic(
    "microex.consents.v1",
    consent_pb2.Consent,
    1,
    {"cleanup.policy": "compact", "segment.ms": str(HOUR_MS), "max.compaction.lag.ms": str(HOUR_MS)},
)
# A dead letter wraps a record that was itself as large as allowed.
DEAD_LETTERS: Final = Topic(
    "microex.dead-letters.v1",
    dead_letter_pb2.DeadLetter,
    1,
    {
        "cleanup.policy": "delete",
        "retention.ms": str(24 * HOUR_MS),
        "segment.ms": str(HOUR_MS),
        "max.message.bytes": str(MAX_MESSAGE_BYTES + 64 * 1024),
    },
)
_LETTER_BYTES: Final = MAX_MESSAGE_BYTES + 60 * 1024
"""A dead letter and its key at the most: what is left is for the record around them."""
_ERROR_CHARACTERS: Final = 4096

TOPICS: Final = (FACE_FRAMES, APEX_WINDOWS, AU_GRAPHS, CONSENTS, DEAD_LETTERS)


class Record(Protocol):
    """What a consumed record has, whichever client read it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


M = TypeVar("M", bound=Message)


def decode(cls: type[M], value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> M:
    """The message in a record's value. Raises Poison for a tombstone, bytes that are no such message, or a schema
    version from the future."""
    if not value:
        raise Poison("empty record", want=cls.DESCRIPTOR.full_name)
    schema = dict(headers).get("schema")
    if schema is not None and schema != schema_header(cls):
        raise Poison("record of another schema", got=schema.decode(errors="replace"), want=schema_header(cls).decode())
    try:
        return cls.FromString(value)
    except DecodeError as error:
        raise Poison("bytes that are no such message", want=cls.DESCRIPTOR.full_name, size=len(value)) from error


def schema_header(cls: type[Message]) -> bytes:
    """ "microex.v1.FaceFrame;version=1": which message, and the version of how it is used."""
    return f"{cls.DESCRIPTOR.full_name};version={SCHEMA_VERSION}".encode()


def headers(cls: type[Message], traceparent: bytes | None = None) -> Headers:
    """Headers of a record: schema and trace context, a new trace when none is handed on."""
    return [("schema", schema_header(cls)), ("traceparent", child_trace(traceparent))]


def child_trace(parent: bytes | None = None) -> bytes:
    """A W3C trace context (https://www.w3.org/TR/trace-context/): a new span in the parent's trace, or in a new one."""
    known = _TRACE.fullmatch(parent or b"")
    trace = known[1].decode() if known else os.urandom(16).hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01".encode()


def dead_letter(record: Record, error: MicroexError, service: str) -> dead_letter_pb2.DeadLetter:
    """Everything that is needed to look into a record that could not be processed, and to send it again.

    It always fits into its topic, though a record that came compressed may not: then its payload, and if need be its
    headers and its key, stay out, and the error's text says so.
    """
    letter = dead_letter_pb2.DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        payload=record.value,
        headers=[dead_letter_pb2.Header(name=name, value=value) for name, value in record.headers or ()],
        error_class=type(error).__name__,
        error_text=str(error)[:_ERROR_CHARACTERS],
        service=service,
        failed_us=now_us(),
    )
    for part in ("payload", "headers", "key"):
        if letter.ByteSize() + len(letter_key(letter)) > _LETTER_BYTES:
            letter.ClearField(part)
            letter.error_text += f"; its {part} stayed out, as it would not fit"
            if part == "payload" and record.value is not None:
                letter.error_text += f": {len(record.value)} bytes, SHA-256 {hashlib.sha256(record.value).hexdigest()}"
    return letter


def letter_key(letter: dead_letter_pb2.DeadLetter) -> bytes:
    """Key of a dead letter's record: that of the original, else its place, which names it as well."""
    return letter.key or f"{letter.topic}/{letter.partition}/{letter.offset}".encode()


def kind_name(kind: window_pb2.Kind.ValueType) -> str:
    """ "micro" or "macro"."""
    return window_pb2.Kind.Name(kind).removeprefix("KIND_").lower()


def now_us() -> int:
    """UTC, microseconds since the Unix epoch."""
    return time.time_ns() // 1000
