"""gRPC over TLS: who is let in, and that a renewed certificate is shown without a restart."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from microex.v1.recognizer_pb2_grpc import RecognizerServiceServicer
from services.common.errors import Fatal
from services.common.settings import RecognizerSettings
from services.recognizer.servicer import GrpcServer
from services.recognizer.tls import channel_credentials, server_credentials


class Parties:
    """An authority with the files of a server and of a caller."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.folder = trustme.CA(), folder
        self.ca_file, self.cert, self.key = (folder / name for name in ("ca.crt", "tls.crt", "tls.key"))
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.renew()
        caller = self.ca.issue_cert("caller")
        caller.cert_chain_pems[0].write_to_path(folder / "caller.crt")
        caller.private_key_pem.write_to_path(folder / "caller.key")

    def renew(self) -> bytes:
        """A new certificate of the server, PEM."""
        server = self.ca.issue_cert("localhost", "127.0.0.1")
        server.private_key_pem.write_to_path(self.key)
        server.cert_chain_pems[0].write_to_path(self.cert)
        return server.cert_chain_pems[0].bytes()

    def settings(self, **changes: Any) -> RecognizerSettings:
        files = {"grpc_cert_file": self.cert, "grpc_key_file": self.key, "grpc_client_ca_file": self.ca_file}
        return RecognizerSettings(**files | changes)


@pytest.fixture
def parties(tmp_path: Path) -> Parties:
    return Parties(tmp_path)


@pytest.fixture
async def port(parties: Parties) -> AsyncIterator[int]:
    server = GrpcServer("127.0.0.1", 0, RecognizerServiceServicer(), server_credentials(parties.settings()))
    await server.start()
    yield server.port
    await server.stop(0)


async def health(port: int, credentials: grpc.ChannelCredentials | None) -> str:
    address = f"localhost:{port}"
    channel = grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
    async with channel:
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def test_only_callers_of_the_authority_are_let_in(port: int, parties: Parties, tmp_path: Path) -> None:
    known = channel_credentials(parties.ca_file, tmp_path / "caller.crt", tmp_path / "caller.key")
    assert await health(port, known) == "SERVING"
    assert await health(port, channel_credentials(parties.ca_file, None, None)) == "UNAVAILABLE"
    assert await health(port, None) == "UNAVAILABLE"
    (tmp_path / "other").mkdir()
    stranger = Parties(tmp_path / "other").folder
    foreign = channel_credentials(parties.ca_file, stranger / "caller.crt", stranger / "caller.key")
    assert await health(port, foreign) == "UNAVAILABLE"


async def test_a_renewed_certificate_needs_no_restart(port: int, parties: Parties, tmp_path: Path) -> None:
    new = parties.renew()
    context = ssl.create_default_context(cafile=str(parties.ca_file))
    context.load_cert_chain(tmp_path / "caller.crt", tmp_path / "caller.key")
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    shown = ssl.DER_cert_to_PEM_cert(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    assert shown.split() == new.decode().split()


def test_half_a_pair_is_refused(parties: Parties) -> None:
    with pytest.raises(Fatal, match="MICROEX_GRPC_KEY_FILE"):
        server_credentials(parties.settings(grpc_key_file=None))
    with pytest.raises(Fatal, match="cannot be read"):
        server_credentials(parties.settings(grpc_cert_file=parties.folder / "nowhere"))


def test_no_files_means_plain_text() -> None:
    assert server_credentials(RecognizerSettings()) is None
