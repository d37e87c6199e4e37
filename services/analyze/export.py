"""A session's answers, read back from the topics into the files that `microex analyze` writes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from microex.v1 import graph_pb2, stream_pb2, window_pb2
from services.analyze import events
from services.analyze.names import folder_name, unique
from services.analyze.report import Report
from services.analyze.summary import count, expressions, versions, words
from services.common import wire
from services.common.consent import ConsentWatch
from services.common.errors import Fatal, Poison, Retryable
from services.common.kafka import make_consumer, topic_name
from services.common.settings import KafkaSettings
from services.motion.rois import REGIONS


@dataclass
class Session:
    """What the topics know of one session.

    windows: by window id, without their motion tensors, which no file needs. graphs: by prediction id, in the order in
    which they were published. unreadable: records that are no such message.
    """

    windows: dict[str, window_pb2.ApexWindow] = field(default_factory=dict)
    graphs: dict[str, graph_pb2.AuGraph] = field(default_factory=dict)
    unreadable: int = 0


@dataclass(frozen=True)
class Exported:
    """The files of one camera. origin_s: where its pictures begin to count, seconds in the streams' time base."""

    folder: Path
    marks: list[events.Mark]
    origin_s: float


def export(settings: KafkaSettings, session: str, out: Path, idle_timeout_s: float) -> list[Exported]:
    """Write the files of each camera of a session into a folder of `out` named after it.

    The newest record of an id counts; what was deleted is left out. Raises Poison when nothing is known of the session,
    Retryable when Kafka stays silent for `idle_timeout_s` before the end is reached, Fatal when a topic is missing or
    consent was withdrawn.
    """
    _refuse_withdrawn(settings, session)
    known = read_session(settings, session, idle_timeout_s)
    every: list[Any] = [*known.windows.values(), *known.graphs.values()]
    cameras = sorted({each.stream.camera for each in every})
    if not cameras:
        raise Poison("nothing is known of this session", session=session)
    folders = [out / name for name in unique(map(folder_name, cameras))]
    return [_write_camera(known, session, camera, folder) for camera, folder in zip(cameras, folders, strict=True)]


def read_session(settings: KafkaSettings, session: str, idle_timeout_s: float) -> Session:
    """All that the topics hold of a session at this moment. Raises as `export`."""
    known = Session()
    consumer = make_consumer(settings, None)
    try:
        for record in _to_the_end(consumer, settings, wire.APEX_WINDOWS, idle_timeout_s):
            _take(known, known.windows, window_pb2.ApexWindow, session, record)
        for record in _to_the_end(consumer, settings, wire.AU_GRAPHS, idle_timeout_s):
            _take(known, known.graphs, graph_pb2.AuGraph, session, record)
    except KafkaError as error:
        raise Retryable("Kafka could not be read", error=type(error).__name__) from error
    finally:
        consumer.close()
    return known


def newest(graphs: dict[str, graph_pb2.AuGraph]) -> list[graph_pb2.AuGraph]:
    """One graph a window, that of the model that answered last, in order of onset."""
    by_window = {graph.window_id: graph for graph in graphs.values()}
    return sorted(by_window.values(), key=lambda graph: (graph.onset.time_us, graph.stream.track))


def _refuse_withdrawn(settings: KafkaSettings, session: str) -> None:
    consents = ConsentWatch(settings)
    consents.start()
    withdrawn = consents.withdrawn(session)
    consents.stop()
    if withdrawn:
        raise Fatal("consent was withdrawn; `microex forget` deletes what is left of the session", session=session)


def _to_the_end(
    consumer: KafkaConsumer, settings: KafkaSettings, topic: wire.Topic, idle_timeout_s: float
) -> Iterator[wire.Record]:
    name = topic_name(settings, topic)
    parts = [TopicPartition(name, partition) for partition in consumer.partitions_for_topic(name) or ()]
    if not parts:
        raise Fatal("topic is missing; make it with `microex topics create`", topic=name)
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    ends = consumer.end_offsets(parts)
    moved = time.monotonic()
    while any(consumer.position(part) < end for part, end in ends.items()):
        batches = consumer.poll(timeout_ms=500)
        if batches:
            moved = time.monotonic()
        elif time.monotonic() - moved > idle_timeout_s:
            raise Retryable("Kafka fell silent before the end of the topic", topic=name, seconds=idle_timeout_s)
        for part, records in batches.items():
            yield from (record for record in records if record.offset < ends[part])


def _take(known: Session, into: dict[str, Any], cls: type[Any], session: str, record: wire.Record) -> None:
    key = (record.key or b"").decode(errors="replace")
    into.pop(key, None)  # a newer record of an id, a tombstone too, ends the older one
    if record.value is None:
        return
    try:
        message: Any = wire.decode(cls, record.value, record.headers)
    except Poison:
        known.unreadable += 1
        return
    if message.stream.session == session:
        if cls is window_pb2.ApexWindow:
            message.ClearField("motion")
        into[key] = message


def _write_camera(known: Session, session: str, camera: str, folder: Path) -> Exported:
    windows = {key: window for key, window in known.windows.items() if window.stream.camera == camera}
    answers = {key: graph for key, graph in known.graphs.items() if graph.stream.camera == camera}
    graphs = newest(answers)
    every: list[Any] = [*windows.values(), *graphs]
    origin_us = _origin_us(every)
    with Report(folder, origin_s=origin_us / 1e6) as report:
        for graph in graphs:
            report.add(graph, windows.get(graph.window_id))
        for window in windows.values():
            _move(report, window)
        summary = {
            "video": None,
            "session": session,
            "camera": camera,
            "time_base": "utc" if origin_us else "media",
            "origin_s": origin_us / 1e6,
            "windows": {
                "read": len(windows),
                "unanswered": len(windows.keys() - {graph.window_id for graph in graphs}),
            },
            "graphs": {
                "read": len(answers),
                "superseded": len(answers) - len(graphs),
                "without_window": sum(graph.window_id not in windows for graph in graphs),
            },
            "unreadable": known.unreadable,
            "tracks": len({each.stream.track for each in every}),
            "expressions": expressions(report.marks),
            "model": events.model(graphs[-1].model) if graphs else None,
            "detector": ", ".join(sorted({window.detector for window in windows.values()})) or None,
            "versions": versions(),
        }
        report.close(summary, *_captions(summary, report.marks))
    return Exported(folder, report.marks, origin_us / 1e6)


def _origin_us(messages: list[Any]) -> int:
    """Where pictures and ELAN begin to count: a file's own zero; of live sources the whole second before the first."""
    if not any(each.time_base == stream_pb2.TIME_BASE_UTC for each in messages):
        return 0
    first_us: int = min(each.onset.time_us for each in messages)
    return first_us // 1_000_000 * 1_000_000


def _move(report: Report, window: window_pb2.ApexWindow) -> None:
    curves = {curve.region: curve.magnitude for curve in window.curves.curves}
    times = window.curves.time_us
    if any(len(curves.get(region, ())) != len(times) for region in REGIONS):
        return  # cut with another table of regions: its curves have no row in the picture
    for time_us, values in zip(times, np.array([curves[region] for region in REGIONS], np.float32).T, strict=True):
        report.move(window.stream.track, time_us, values)


def _captions(summary: dict[str, Any], marks: list[events.Mark]) -> tuple[str, str, str]:
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(summary["origin_s"])) if summary["origin_s"] else ""
    model = summary["model"]
    return (
        f"{summary['session']} / {summary['camera']}",
        "   ·   ".join(filter(None, (began, count(summary["tracks"], "face track"), words(marks)))),
        f"microex {summary['versions']['microex']}   ·   detector {summary['detector'] or 'unknown'}   ·   model "
        + (f"{model['name']} {model['version']}, {model['digest'][:12]}" if model else "unknown"),
    )
