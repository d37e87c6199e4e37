"""`microex spotter`."""

from typing import Any

import click

from services.common.logs import configure
from services.common.settings import SpotterSettings, flags, load


@click.command()
@flags(SpotterSettings)
def spotter(**options: Any) -> None:
    """Find expressions in the faces on Kafka.

    Reads microex.face-frames.v1, writes an apex window for every micro- and macro-expression to
    microex.apex-windows.v1. Run as many as there are partitions at the most; streams are shared between them.
    """
    settings = load(SpotterSettings, **options)
    configure(settings)
    from services.spotter.service import run

    run(settings)
