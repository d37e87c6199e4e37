"""TLS for gRPC: who the server is and whose callers it takes. Certificates are read anew when their files change."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from services.common.errors import Fatal
from services.common.logs import get_logger
from services.common.settings import RecognizerSettings

log = get_logger(__name__)


@dataclass(frozen=True)
class _Files:
    key: Path
    cert: Path
    client_ca: Path | None

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        return self.key.read_bytes(), self.cert.read_bytes(), self.client_ca.read_bytes() if self.client_ca else None


def server_credentials(settings: RecognizerSettings) -> grpc.ServerCredentials | None:
    """What gRPC listens with; None for plain text.

    Raises Fatal when a certificate lacks its key, or a file cannot be read.
    """
    cert, key, client_ca = settings.grpc_cert_file, settings.grpc_key_file, settings.grpc_client_ca_file
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise Fatal("TLS of gRPC needs both MICROEX_GRPC_CERT_FILE and MICROEX_GRPC_KEY_FILE")
    files = _Files(key, cert, client_ca)
    try:
        last = files.read()
    except OSError as error:
        raise Fatal("a certificate of gRPC cannot be read", file=str(error.filename), error=error.strerror) from error

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC at every handshake; None: as before."""
        nonlocal last
        try:
            now = files.read()
        except OSError as error:
            log.error("a certificate of gRPC cannot be read; keeping the last one", error=error.strerror)
            return None
        if now == last:
            return None
        last = now
        log.info("certificate of gRPC renewed")
        return _configuration(now)

    ask: Any = renewed  # its declared type lacks the None that gRPC's documentation allows
    return grpc.dynamic_ssl_server_credentials(_configuration(last), ask, client_ca is not None)


def _configuration(contents: tuple[bytes, bytes, bytes | None]) -> grpc.ServerCertificateConfiguration:
    key, cert, client_ca = contents
    return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca)


def channel_credentials(ca: Path, cert: Path | None, key: Path | None) -> grpc.ChannelCredentials:
    """What a caller connects with: whom it trusts and, where the server asks, who it is. Raises Fatal for a file that
    cannot be read."""
    try:
        contents = [path.read_bytes() if path else None for path in (ca, key, cert)]
    except OSError as error:
        raise Fatal("a certificate cannot be read", file=str(error.filename), error=error.strerror) from error
    return grpc.ssl_channel_credentials(*contents)
