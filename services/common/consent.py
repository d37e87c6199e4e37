"""Consent: which sessions may be processed, learnt from the topic and followed while the service runs."""

import threading
from contextlib import closing
from typing import Final

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from microex.v1 import consent_pb2
from services.common import wire
from services.common.errors import MicroexError, Poison, Retryable
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


PATIENCE_S: Final = 60.0
"""How long consents may be out of sight before whoever waits for them gives up."""
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 10.0


class OutOfSight(Retryable):
    """Consents cannot be read at the moment, so nothing may be processed, nor discarded for want of consent."""


class ConsentWatch:
    """Follows the consents topic from its beginning in a thread of its own; after an error, from its beginning again.

    outbox: takes unreadable records to the dead letters, each one once (again after a crash); service: on whose behalf.
    """

    def __init__(self, settings: KafkaSettings, outbox: Outbox | None = None, service: str = "") -> None:
        self._settings, self._outbox, self._service = settings, outbox, service
        self._records: dict[str, consent_pb2.Consent] = {}
        self._changed = threading.Condition()
        self._in_sight = False  # all that is on the topic is known, and what comes is followed
        self._stop = threading.Event()
        self._problem: Exception | None = None  # what went wrong last
        self._thread = threading.Thread(target=self._run, name="consents", daemon=True)

    def start(self, timeout_s: float = PATIENCE_S) -> None:
        """Begin; returns once all that is on the topic is known. Raises Retryable when it cannot be read, or not in
        time."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._in_sight or self._problem is not None, timeout_s)
            if self._in_sight:
                return
        self._stop.set()
        if isinstance(self._problem, MicroexError):
            raise self._problem
        raise Retryable("the consents topic could not be read", error=repr(self._problem)) from self._problem

    def refusal(self, session: str) -> str | None:
        """Why a session may not be processed, in one sentence; None when it may. Raises OutOfSight: nobody knows."""
        with self._changed:
            self._look()
            return refusal(session, self._records.get(session))

    def withdrawn(self, session: str) -> bool:
        """Whether consent was given and taken back. Raises OutOfSight: nobody knows."""
        with self._changed:
            self._look()
            record = self._records.get(session)
        return record is not None and record.state == Consent.STATE_WITHDRAWN

    def wait(self, timeout_s: float = PATIENCE_S) -> None:
        """Returns once consents are in sight. Raises OutOfSight when that takes longer, or `stop` comes first."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_sight or self._stop.is_set(), timeout_s)
            self._look()

    def stop(self) -> None:
        """End; returns when the thread is gone."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._thread.join()

    def _look(self) -> None:
        if not self._in_sight:
            raise OutOfSight("consents cannot be read at the moment", error=repr(self._problem))

    def _run(self) -> None:
        pause_s = FIRST_RETRY_S
        while not self._stop.is_set():
            try:
                self._follow()
            except Exception as error:  # whatever it is: a watch that ended unnoticed would see no withdrawal
                pause_s = FIRST_RETRY_S if self._in_sight else min(2 * pause_s, LONGEST_RETRY_S)
                with self._changed:
                    self._in_sight, self._problem = False, error
                    self._changed.notify_all()
                unexpected = not isinstance(error, (MicroexError, KafkaError))
                log.error("lost sight of consents", error=repr(error), retry_in_s=pause_s, exc_info=unexpected)
                self._stop.wait(pause_s)

    def _follow(self) -> None:
        """Read until stopped. Raises whatever goes wrong."""
        name = topic_name(self._settings, wire.CONSENTS)
        with closing(make_consumer(self._settings, GROUP)) as consumer:
            partitions = consumer.partitions_for_topic(name)
            if not partitions:
                raise Retryable("there is no consents topic; make it with `microex topics create`", topic=name)
            assigned = [TopicPartition(name, partition) for partition in partitions]
            consumer.assign(assigned)
            consumer.seek_to_beginning(*assigned)
            ends = consumer.end_offsets(assigned)
            buried = {tp.partition: consumer.committed(tp) or 0 for tp in assigned}
            known: dict[str, consent_pb2.Consent] = {}
            while not self._stop.is_set():
                for tp, records in consumer.poll(timeout_ms=500).items():
                    unreadable = [(record, error) for record in records if (error := self._take(known, record))]
                    fresh = [(record, error) for record, error in unreadable if record.offset >= buried[tp.partition]]
                    if fresh and self._outbox is not None:
                        self._bury(self._outbox, fresh)
                        buried[tp.partition] = fresh[-1][0].offset + 1
                        consumer.commit({tp: OffsetAndMetadata(buried[tp.partition], "", -1)})
                if not self._in_sight and all(consumer.position(tp) >= end for tp, end in ends.items()):
                    with self._changed:
                        self._records, self._in_sight, self._problem = known, True, None
                        self._changed.notify_all()

    def _bury(self, outbox: Outbox, unreadable: list[tuple[wire.Record, Poison]]) -> None:
        letters = [wire.dead_letter(record, error, self._service) for record, error in unreadable]
        for sent in [outbox.send(wire.DEAD_LETTERS, wire.letter_key(letter), letter) for letter in letters]:
            sent.get(timeout=60)

    def _take(self, known: dict[str, consent_pb2.Consent], record: wire.Record) -> Poison | None:
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
                known.pop(session, None)
            else:
                known[session] = message
        return problem
