"""`microex recognizer`, the service, and `microex recognize`, a small client of it."""

from pathlib import Path
from typing import Any

import click

from services.common.logs import configure
from services.common.settings import RecognizerSettings, flags, load


@click.command()
@flags(RecognizerSettings)
def recognizer(**options: Any) -> None:
    """Run STAG over gRPC and on Kafka's apex windows.

    Reads microex.apex-windows.v1 and writes an AU graph for every window to microex.au-graphs.v1; answers the same over
    gRPC. --consume false leaves Kafka alone.
    """
    settings = load(RecognizerSettings, **options)
    configure(settings)
    from services.recognizer.service import run

    run(settings)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--grpc", "address", required=True, metavar="HOST:PORT", help="Where the recognizer listens.")
@click.option("--json", "as_json", is_flag=True, help="Print each AuGraph as a line of JSON.")
@click.option("--timeout", "timeout_s", type=float, default=30.0, show_default=True, help="Seconds for all of FILE.")
@click.option("--ca", type=click.Path(path_type=Path), help="Speak TLS and trust this authority, PEM.")
@click.option(
    "--cert", type=click.Path(path_type=Path), help="Own certificate, PEM, where the recognizer asks for one."
)
@click.option("--key", type=click.Path(path_type=Path), help="Its key, PEM.")
def recognize(
    file: Path, address: str, as_json: bool, timeout_s: float, ca: Path | None, cert: Path | None, key: Path | None
) -> None:
    """Ask a running recognizer about stored windows.

    FILE holds one serialised ApexWindow, or many with their length before each, as protobuf writes delimited messages.
    """
    from services.recognizer import client, tls

    windows = client.read_windows(file)
    for graph in client.ask(address, windows, timeout_s, tls.channel_credentials(ca, cert, key) if ca else None):
        client.show(graph, as_json)
