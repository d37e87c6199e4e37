"""What an operator does now and then: topics, consents, forgetting a session."""

import time
from typing import Any, Final

import click
from kafka import TopicPartition
from kafka.errors import KafkaError

from microex.v1 import consent_pb2
from services.common import wire
from services.common.consent import Consent, refusal
from services.common.errors import Fatal, Poison, Retryable
from services.common.ids import cache_prefix, check_name, stream_key
from services.common.kafka import Outbox, create_topics, make_consumer, topic_name
from services.common.logs import configure
from services.common.settings import KafkaSettings, RecognizerSettings, flags, load

ACKNOWLEDGED_S: Final = 60.0
"""How long Kafka may take to acknowledge what a command wrote."""


@click.group()
def topics() -> None:
    """Create and list the Kafka topics."""


@topics.command("create")
@click.option("--partitions", type=click.IntRange(1), help="Partitions of the topics that hold streams. [default: 12]")
@click.option("--replication", type=click.IntRange(1), default=1, show_default=True, help="Copies of each partition.")
@flags(KafkaSettings)
def topics_create(partitions: int | None, replication: int, **options: Any) -> None:
    """Make every topic that is not there yet, with the right retention and sizes."""
    settings = load(KafkaSettings, **options)
    configure(settings)
    made = create_topics(settings, partitions, replication)
    for topic in wire.TOPICS:
        name = topic_name(settings, topic)
        click.echo(f"{'created' if name in made else 'exists '}  {name}")


@topics.command("list")
@flags(KafkaSettings)
def topics_list(**options: Any) -> None:
    """Show each topic, whether it exists, and how many records it holds."""
    settings = load(KafkaSettings, **options)
    consumer = make_consumer(settings, None)
    for topic in wire.TOPICS:
        name = topic_name(settings, topic)
        parts = [TopicPartition(name, partition) for partition in consumer.partitions_for_topic(name) or ()]
        ends, starts = consumer.end_offsets(parts), consumer.beginning_offsets(parts)
        records = sum(ends[part] - starts[part] for part in parts)
        click.echo(f"{name}  " + (f"{len(parts)} partitions  {records} records" if parts else "missing"))
    consumer.close()


@click.group()
def consent() -> None:
    """Record and withdraw consent for sessions."""


PURPOSES = {name.removeprefix("PURPOSE_").lower(): number for name, number in Consent.Purpose.items() if number}
GROUNDS = {name.removeprefix("GROUND_").lower(): number for name, number in Consent.Ground.items() if number}


@consent.command("grant")
@click.argument("session")
@click.option("--purpose", type=click.Choice(sorted(PURPOSES)), required=True, help="What the person agreed to.")
@click.option("--ground", type=click.Choice(sorted(GROUNDS)), help="Needed for employment and education.")
@flags(KafkaSettings)
def consent_grant(session: str, purpose: str, ground: str | None, **options: Any) -> None:
    """Record that the person in SESSION agreed to its recording for a purpose.

    Employment and education are refused without a medical or safety ground (EU AI Act, Art. 5(1)(f)).
    """
    record = Consent(
        session=check_name("session", session),
        state=Consent.STATE_ACTIVE,
        purpose=PURPOSES[purpose],
        ground=GROUNDS[ground] if ground else Consent.GROUND_UNSPECIFIED,
        recorded_us=wire.now_us(),
    )
    problem = refusal(session, record)
    if problem:
        raise Fatal(problem)
    _record(load(KafkaSettings, **options), record)
    click.echo(f"consent recorded: session {session} for {purpose}")


@consent.command("withdraw")
@click.argument("session")
@flags(KafkaSettings)
def consent_withdraw(session: str, **options: Any) -> None:
    """Record that the person in SESSION took consent back; its cameras stop within seconds.

    What was found so far stays until `microex forget SESSION`.
    """
    record = Consent(session=check_name("session", session), state=Consent.STATE_WITHDRAWN, recorded_us=wire.now_us())
    _record(load(KafkaSettings, **options), record)
    click.echo(f"consent withdrawn: session {session}")


def _record(settings: KafkaSettings, record: consent_pb2.Consent) -> None:
    configure(settings)
    outbox = Outbox(settings)
    _see_through(outbox, wire.CONSENTS, [outbox.send(wire.CONSENTS, record.session.encode(), record)])


def _see_through(outbox: Outbox, topic: wire.Topic, sent: list[Any]) -> None:
    """Wait until Kafka has acknowledged all that was sent, and close. Raises Retryable with how many it has not, and
    why."""
    # Each one is asked: flushing tells nothing of refusals, and waits in vain for batches that were split.
    deadline, refusals = time.monotonic() + ACKNOWLEDGED_S, []
    for future in sent:
        try:
            future.get(timeout=max(0.0, deadline - time.monotonic()))
        except KafkaError as error:
            refusals.append(error)
    outbox.close(1.0)  # nothing is left that may still come
    if refusals:
        raise Retryable(
            "Kafka did not take all of it; mend the cause and run this again",
            topic=topic.name,
            refused=len(refusals),
            of=len(sent),
            error=type(refusals[0]).__name__,
        )


@click.command()
@click.argument("session")
@flags(RecognizerSettings)
def forget(session: str, **options: Any) -> None:
    """Delete SESSION's windows and graphs from Kafka, and its answers from the cache.

    Withdraw consent first, or new ones keep coming. Frames and dead letters leave by retention: after one hour and
    after a day. Kafka removes what is deleted when it compacts, at the latest about an hour later.
    """
    settings = load(RecognizerSettings, **options)
    configure(settings)
    check_name("session", session)
    for topic in (wire.APEX_WINDOWS, wire.AU_GRAPHS):
        click.echo(f"{topic_name(settings, topic)}: {_bury(settings, topic, session)} deleted")
    if settings.redis_url:
        click.echo(f"cache: {_uncache(settings.redis_url.get_secret_value(), session)} deleted")


def _bury(settings: KafkaSettings, topic: wire.Topic, session: str) -> int:
    """Write a tombstone for each key of the session, to the partition it lies in; returns how many."""
    consumer, outbox = make_consumer(settings, None), Outbox(settings)
    name = topic_name(settings, topic)
    parts = [TopicPartition(name, partition) for partition in consumer.partitions_for_topic(name) or ()]
    if not parts:
        raise Fatal("topic is missing; make it with `microex topics create`", topic=name)
    consumer.assign(parts)
    ends = consumer.end_offsets(parts)
    found: dict[bytes, str] = {}
    while any(consumer.position(part) < end for part, end in ends.items()):
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                try:
                    whose = wire.decode(topic.message, record.value, record.headers).stream  # type: ignore[attr-defined]
                except Poison:
                    found.pop(record.key, None)  # deleted already, or nothing that can be read
                    continue
                if whose.session == session:
                    found[record.key] = stream_key(whose)
    _see_through(outbox, topic, [outbox.send(topic, key, None, stream=stream) for key, stream in found.items()])
    consumer.close()
    return len(found)


def _uncache(url: str, session: str) -> int:
    """Delete the session's keys; returns how many there were."""
    import redis

    client = redis.Redis.from_url(url)
    # A quoted session holds none of the characters that a Redis pattern gives a meaning to.
    return sum(client.delete(key) for key in client.scan_iter(match=f"{cache_prefix(session)}*", count=1000))
