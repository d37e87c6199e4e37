"""Consent: which sessions may be processed, learnt from the topic and followed while the service runs."""

import threading

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from microex.v1 import consent_pb2
from services.common import wire
from services.common.errors import Poison, Retryable
from services.common.kafka import Outbox, make_consumer, topic_name
from services.common.logs import get_logger
from services.common.settings import KafkaSettings

log = get_logger(__name__)

Consent = consent_pb2.Consent

NEED_GROUND = (Consent.PURPOSE_EMPLOYMENT, Consent.PURPOSE_EDUCATION)
"""Purposes that the EU AI Act, Art. 5(1)(f), forbids but for medical or safety reasons."""


def refusal(session: str, record: consent_pb2.Consent | None) -> str | None:
    """Why a session may not be processed, in one sentence; None when it may."""
    if record is None:
        return (
            f"session {session!r} has no consent record; record one with "
            f"`microex consent grant {session} --purpose research`"
        )
    if record.state != Consent.STATE_ACTIVE:
        return f"consent for session {session!r} was withdrawn"
    if record.purpose == Consent.PURPOSE_UNSPECIFIED:
        return f"the consent record of session {session!r} names no purpose"
    if record.purpose in NEED_GROUND and record.ground == Consent.GROUND_UNSPECIFIED:
        return (
            f"session {session!r} is for employment or education, where inferring emotions is prohibited unless a "
            "medical or safety ground is recorded (EU AI Act, Art. 5(1)(f))"
        )
    return None


GROUP = "microex-consents"
"""Under this group it is remembered up to where unreadable consent records were buried; nobody joins it."""


class ConsentWatch:
    """Follows the consents topic from its beginning in a thread of its own.

    outbox: takes unreadable records to the dead letters, each one once (again after a crash); service: on whose behalf.
    """

    def __init__(self, settings: KafkaSettings, outbox: Outbox | None = None, service: str = "") -> None:
        self._settings, self._outbox, self._service = settings, outbox, service
        self._records: dict[str, consent_pb2.Consent] = {}
        self._changed = threading.Condition()
        self._caught_up = False
        self._stop = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="consents", daemon=True)

    def start(self, timeout_s: float = 60.0) -> None:
        """Begin; returns once all that is on the topic is known. Raises Retryable when that takes longer."""
        self._thread.start()
        with self._changed:
            done = self._changed.wait_for(lambda: self._caught_up or self._problem is not None, timeout_s)
        if self._problem is not None:
            raise self._problem
        if not done:
            raise Retryable("the consents topic could not be read in time", seconds=timeout_s)

    def refusal(self, session: str) -> str | None:
        """Why a session may not be processed, in one sentence; None when it may."""
        with self._changed:
            if self._problem is not None:
                return "consents cannot be read at the moment, so nothing may be processed"
            return refusal(session, self._records.get(session))

    def withdrawn(self, session: str) -> bool:
        """Whether consent was given and taken back."""
        with self._changed:
            record = self._records.get(session)
        return record is not None and record.state == Consent.STATE_WITHDRAWN

    def stop(self) -> None:
        """End; returns when the thread is gone."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            consumer = make_consumer(self._settings, GROUP)
            try:
                self._follow(consumer)
            finally:
                consumer.close()
        except (Retryable, KafkaError) as error:
            with self._changed:
                self._problem = (
                    error
                    if isinstance(error, Retryable)
                    else Retryable("the consents topic could not be read", error=type(error).__name__)
                )
                self._changed.notify_all()
            log.error("lost sight of consents", error=str(error))

    def _follow(self, consumer: KafkaConsumer) -> None:
        name = topic_name(self._settings, wire.CONSENTS)
        partitions = consumer.partitions_for_topic(name)
        if not partitions:
            raise Retryable("there is no consents topic; make it with `microex topics create`", topic=name)
        assigned = [TopicPartition(name, partition) for partition in partitions]
        consumer.assign(assigned)
        consumer.seek_to_beginning(*assigned)
        ends = consumer.end_offsets(assigned)
        buried = {tp.partition: consumer.committed(tp) or 0 for tp in assigned}
        while not self._stop.is_set():
            for tp, records in consumer.poll(timeout_ms=500).items():
                unreadable = [(record, error) for record in records if (error := self._take(record)) is not None]
                fresh = [(record, error) for record, error in unreadable if record.offset >= buried[tp.partition]]
                if fresh and self._outbox is not None:
                    self._bury(self._outbox, fresh)
                    buried[tp.partition] = fresh[-1][0].offset + 1
                    consumer.commit({tp: OffsetAndMetadata(buried[tp.partition], "", -1)})
            if not self._caught_up and all(consumer.position(tp) >= end for tp, end in ends.items()):
                with self._changed:
                    self._caught_up = True
                    self._changed.notify_all()

    def _bury(self, outbox: Outbox, unreadable: list[tuple[wire.Record, Poison]]) -> None:
        letters = [
            (record.key or b"none", wire.dead_letter(record, error, self._service)) for record, error in unreadable
        ]
        for sent in [outbox.send(wire.DEAD_LETTERS, key, letter) for key, letter in letters]:
            sent.get(timeout=60)

    def _take(self, record: wire.Record) -> Poison | None:
        """Learn from a record; returns what is wrong with it when it cannot be read."""
        session, problem = (record.key or b"").decode(errors="replace"), None
        try:
            message = wire.decode(Consent, record.value, record.headers) if record.value else None
        except Poison as error:
            # Keeping the last good word would let a broken withdrawal pass: what cannot be read is no consent.
            log.error("unreadable consent record; its session counts as without consent", error=str(error))
            message, problem = None, error
        with self._changed:
            if message is None:
                self._records.pop(session, None)
            else:
                self._records[session] = message
            self._changed.notify_all()
        return problem
