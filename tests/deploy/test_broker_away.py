"""What Kubernetes sees while Kafka is away: nobody is restarted, and who cannot work is unready until it is back."""

import json
from pathlib import Path

from microex.v1 import consent_pb2
from scripts.broker import Broker
from services.common import wire
from services.common.kafka import Outbox
from tests.deploy.webcam import webcam
from tests.support.services import Service
from tests.support.topics import Installation


def test_a_broker_that_is_away_kills_nobody(talking_face: Path, tmp_path: Path) -> None:
    with (
        Broker() as broker,
        webcam(talking_face) as address,
        Installation(broker.bootstrap, "", "s") as installation,
    ):
        (tmp_path / "cameras.yaml").write_text(
            json.dumps({"cameras": [{"session": "s", "camera": "c", "source": address}]})
        )
        env = installation.env
        with (
            Service("spotter", env=env) as spotter,
            Service("recognizer", "--grpc-port", "0", env=env) as recognizer,
            Service("ingest", str(tmp_path / "cameras.yaml"), env=env) as ingest,
        ):
            services = (spotter, recognizer, ingest)
            for service in services:
                service.until(lambda service=service: service.page("/readyz") == 200)
            broker.kill()
            spotter.until(lambda: spotter.page("/readyz") == 503)
            assert [service.page("/healthz") for service in services] == [200, 200, 200]
            broker.start()
            taken = spotter.total("microex_spotter_frames_total")
            spotter.until(lambda: spotter.page("/readyz") == 200)
            spotter.until(lambda: spotter.total("microex_spotter_frames_total") > taken)
            assert [service.page("/healthz") for service in services] == [200, 200, 200]
            for service in (ingest, recognizer, spotter):
                assert service.stop() == 0, service.log()


def test_who_leaves_while_the_broker_is_away_lets_go() -> None:
    with Broker() as broker, Installation(broker.bootstrap, "") as installation:
        outbox = Outbox(installation.settings)
        outbox.send(wire.CONSENTS, b"s", consent_pb2.Consent(session="s")).get(60)
        broker.kill()
        sent = outbox.send(wire.CONSENTS, b"s", consent_pb2.Consent(session="s"))
        outbox.close(0.5)
        assert not sent.is_done
        broker.start()
