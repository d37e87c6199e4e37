"""`microex ingest`."""

import sys
from pathlib import Path
from typing import Any

import click

from services.common.logs import configure
from services.common.settings import IngestSettings, flags, load


@click.command()
@click.argument("cameras", type=click.Path(path_type=Path, dir_okay=False))
@flags(IngestSettings)
def ingest(cameras: Path, **options: Any) -> None:
    """Publish the faces that cameras see to Kafka.

    CAMERAS is a YAML file: under `cameras`, a list of {session, camera, source}, where source is a video file, a folder
    of images (with fps), an RTSP or HTTP address, or webcam:NUMBER. ${VARIABLE} in a source is taken from the
    environment. Every session needs a consent record: `microex consent grant SESSION --purpose research`.

    Ends by itself when all sources were files and all have ended.
    """
    settings = load(IngestSettings, **options)
    configure(settings)
    from services.ingest.service import run

    sys.exit(run(cameras, settings))
