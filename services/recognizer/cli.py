"""`microex recognizer`, the service, `microex recognize`, a small client of it, and `microex model-info`."""

from pathlib import Path
from typing import Any

import click

from services.common.logs import configure
from services.common.settings import ModelSettings, RecognizerSettings, flags, load


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


@click.command("model-info")
@click.option("--clips", type=click.IntRange(1), default=1, show_default=True, help="Clips in a forward pass.")
@click.option("--frames", type=click.IntRange(1, 64), default=8, show_default=True, help="Selected frames of a clip.")
@flags(ModelSettings)
def model_info(clips: int, frames: int, **options: Any) -> None:
    """Print parameters, floating-point operations and latency of each part of STAG, in fp32 and bf16.

    Latency is measured here and now, on the CPU and, unless --device is cpu, on a GPU where there is one.
    """
    settings = load(ModelSettings, **options)
    configure(settings)
    import torch
    from rich.console import Console
    from rich.table import Table

    from services.recognizer import weights
    from services.recognizer.engine import choose_device
    from services.recognizer.model_info import PRECISIONS, describe

    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    gpu = choose_device(settings.device).type == "cuda"
    devices = ("cpu", "cuda") if gpu else ("cpu",)
    loaded = weights.load(settings.model_weights)
    columns = [(device, precision) for device in devices for precision in PRECISIONS]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("part")
    for name in ("parameters", "MFLOP", *(f"{device} {precision}, ms" for device, precision in columns)):
        table.add_column(name, justify="right")
    for part in describe(loaded.network(), clips, frames, devices):
        spent = (f"{part.latency_ms[column]:.2f}" for column in columns)
        table.add_row(part.name, f"{part.parameters:,}", f"{part.flops / 1e6:.2f}", *spent)
    Console().print(table)
    where = f"{torch.get_num_threads()} CPU threads" + (f", {torch.cuda.get_device_name()}" if gpu else "")
    state = "trained" if loaded.trained else "not trained"
    click.echo(f"{weights.NAME} {weights.VERSION}, {loaded.digest()[:12]}, {state}; {clips} x {frames} frames; {where}")
