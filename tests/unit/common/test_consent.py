"""Which consent records allow processing, and what is known when the topic cannot be read."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from services.common.consent import Consent, ConsentWatch, OutOfSight, refusal
from services.common.errors import Poison, Retryable
from services.common.settings import KafkaSettings


def record(
    state: "Consent.State.ValueType" = Consent.STATE_ACTIVE,
    purpose: "Consent.Purpose.ValueType" = Consent.PURPOSE_RESEARCH,
    ground: "Consent.Ground.ValueType" = Consent.GROUND_UNSPECIFIED,
) -> Consent:
    return Consent(session="s", state=state, purpose=purpose, ground=ground)


@pytest.mark.parametrize("purpose", [Consent.PURPOSE_RESEARCH, Consent.PURPOSE_HEALTHCARE, Consent.PURPOSE_PERSONAL])
def test_an_active_record_with_a_purpose_allows(purpose: "Consent.Purpose.ValueType") -> None:
    assert refusal("s", record(purpose=purpose)) is None


def test_without_a_record_the_refusal_says_how_to_make_one() -> None:
    assert "microex consent grant s --purpose" in str(refusal("s", None))


@pytest.mark.parametrize("purpose", [Consent.PURPOSE_EMPLOYMENT, Consent.PURPOSE_EDUCATION])
def test_work_and_school_need_a_medical_or_safety_ground(purpose: "Consent.Purpose.ValueType") -> None:
    assert "5(1)(f)" in str(refusal("s", record(purpose=purpose)))
    for ground in (Consent.GROUND_MEDICAL, Consent.GROUND_SAFETY):
        assert refusal("s", record(purpose=purpose, ground=ground)) is None


def test_withdrawn_unset_and_purposeless_records_refuse() -> None:
    assert "withdrawn" in str(refusal("s", record(state=Consent.STATE_WITHDRAWN)))
    assert refusal("s", record(state=Consent.STATE_UNSPECIFIED)) is not None
    assert "purpose" in str(refusal("s", record(purpose=Consent.PURPOSE_UNSPECIFIED)))


class Topic:
    """Stands in for the consents topic and for its consumer: what is on it, and what goes wrong with reading it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: list[SimpleNamespace] = []
        self._error: Exception | None = None
        self._position = 0

    def add(self, state: "Consent.State.ValueType", session: str = "s") -> None:
        value = record(state).SerializeToString()
        with self._changed:
            offset = len(self._records)
            self._records.append(
                SimpleNamespace(topic="t", partition=0, offset=offset, key=session.encode(), value=value, headers=())
            )
            self._changed.notify_all()

    def breaks(self, error: Exception | None) -> None:
        """From now on reading raises this, or goes well."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        """One record at a time."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._position < len(self._records), timeout_ms / 1000)
            if self._error:
                raise self._error
            self._position += 1
            return {TopicPartition("t", 0): self._records[self._position - 1 : self._position]}

    def partitions_for_topic(self, _name: str) -> set[int]:
        return {0}

    def assign(self, _partitions: list[TopicPartition]) -> None: ...

    def seek_to_beginning(self, *_partitions: TopicPartition) -> None:
        self._position = 0

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._records))

    def committed(self, _partition: TopicPartition) -> int | None:
        return None

    def position(self, _partition: TopicPartition) -> int:
        return self._position

    def close(self) -> None: ...


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = Topic()
    topic.add(Consent.STATE_ACTIVE)
    monkeypatch.setattr("services.common.consent.make_consumer", lambda *_: topic)
    monkeypatch.setattr("services.common.consent.FIRST_RETRY_S", 0.001)
    monkeypatch.setattr("services.common.consent.LONGEST_RETRY_S", 0.001)
    return topic


@pytest.fixture
def watch(topic: Topic) -> Iterator[ConsentWatch]:
    watch = ConsentWatch(KafkaSettings())
    watch.start()
    yield watch
    topic.breaks(None)
    watch.stop()


def until_out_of_sight(watch: ConsentWatch) -> OutOfSight:
    """Ask until nobody knows."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert watch.refusal("s") is None, "not knowing is no refusal"
        except OutOfSight as error:
            return error
    raise AssertionError("consents stayed in sight")


@pytest.mark.parametrize("error", [KafkaTimeoutError("slow"), Poison("too large"), RuntimeError("a bug")])
def test_whatever_ends_the_watch_is_told_and_refuses_nobody(
    topic: Topic, watch: ConsentWatch, error: Exception
) -> None:
    topic.breaks(error)
    told = until_out_of_sight(watch)
    assert type(error).__name__ in str(told) and told.exit_code == 75
    with pytest.raises(OutOfSight):
        watch.withdrawn("s")
    with pytest.raises(OutOfSight):  # who waits does not wait for ever
        watch.wait(0)


def test_a_watch_that_failed_comes_back_and_knows_what_happened_meanwhile(topic: Topic, watch: ConsentWatch) -> None:
    topic.breaks(KafkaTimeoutError("slow"))
    until_out_of_sight(watch)
    topic.add(Consent.STATE_WITHDRAWN)
    topic.add(Consent.STATE_ACTIVE, "new")
    topic.breaks(None)
    watch.wait(30)
    assert watch.withdrawn("s") and "withdrawn" in (watch.refusal("s") or "")
    assert watch.refusal("new") is None


def test_ending_ends_the_waiting(topic: Topic, watch: ConsentWatch) -> None:
    topic.breaks(KafkaTimeoutError("slow"))
    until_out_of_sight(watch)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, 600)
        watch.stop()
        assert isinstance(waiting.exception(30), OutOfSight)


def test_a_start_that_cannot_see_says_why_at_once(topic: Topic) -> None:
    topic.breaks(KafkaTimeoutError("slow"))
    watch = ConsentWatch(KafkaSettings())
    with pytest.raises(Retryable, match="slow"):
        watch.start()
