"""`microex analyze` and `microex export`. What needs MediaPipe or torch is imported when `analyze` runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from services.analyze.events import Mark
from services.analyze.export import export as export_session
from services.analyze.files import writing
from services.analyze.names import camera_name, folder_name, unique
from services.analyze.style import clock
from services.analyze.summary import count, refuse_other, words
from services.common.errors import Poison, Retryable
from services.common.ids import check_name
from services.common.logs import configure
from services.common.settings import AnalyzeSettings, KafkaSettings, flags, load

UNTRAINED: Final = (
    "The model is untrained: its weights are random. The intervals were measured; emotions and AUs mean nothing."
)

_ROWS: Final = 40
"""Rows of the table on the terminal; all events are in events.csv."""


@click.command()
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option("--session", default="local", show_default=True, help="Name of the sitting, part of every id.")
@click.option("--camera", help="Name of the source, part of every id. [default: the file's name without its ending]")
@click.option(
    "--explain",
    is_flag=True,
    help="Also write every candidate with its curve and what became of it, and contact sheets.",
)
@flags(AnalyzeSettings)
def analyze(
    videos: tuple[Path, ...], out: Path, session: str, camera: str | None, explain: bool, **options: Any
) -> None:
    """Find facial expressions in each VIDEO and say which muscles moved.

    A folder of OUT named after the video gets events.jsonl, events.csv, events.eaf (for ELAN), timeline.png and
    summary.json; docs/outputs.md explains every field. A video that cannot be read costs one line on standard error and
    the exit code; the others are still done.

    Only analyse recordings of people who agreed to it. Nothing here detects lies.
    """
    settings = load(AnalyzeSettings, **options)
    configure(settings)
    check_name("session", session)
    cameras = unique(check_name("camera", camera) if camera else camera_name(video) for video in videos)
    folders = [out / name for name in unique(folder_name(camera_name(video)) for video in videos)]
    _make(out)
    for video, folder in zip(videos, folders, strict=True):
        refuse_other(folder, video)
    code = 0
    engine = _engine(settings)
    for video, name, folder in zip(videos, cameras, folders, strict=True):
        try:
            _analyze_one(video, folder, session, name, settings, engine, explain)
        except (Poison, Retryable, OSError) as error:  # Fatal, such as a full disk, would meet the others too
            fault = _of_system(error, video) if isinstance(error, OSError) else error
            click.echo(f"microex: {fault}", err=True)
            code = code or fault.exit_code
    if not engine.model.trained:
        click.echo(UNTRAINED)
    click.get_current_context().exit(code)


def _of_system(error: OSError, video: Path) -> Poison:
    return Poison(error.strerror or type(error).__name__, file=str(error.filename or video))


def _engine(settings: AnalyzeSettings) -> Any:
    from services.recognizer.engine import Engine

    return Engine(settings)


def _analyze_one(
    video: Path, folder: Path, session: str, camera: str, settings: AnalyzeSettings, engine: Any, explain: bool
) -> None:
    """One video with its bar and its table. Raises the error of `analyse`, or the fault of a video that is done."""
    from services.analyze.pipeline import analyse

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TextColumn("{task.fields[found]} found"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(camera, total=None, found=0)
        outcome = analyse(
            video,
            folder,
            session,
            camera,
            settings,
            engine,
            lambda frames, total, found: bar.update(task, completed=frames, total=total, found=found),
            explain,
        )
    frames, speed = count(outcome.summary["frames"]["read"], "frame"), outcome.summary["frames_per_s"]
    note = f"{frames}, {speed} frames/s" if speed else frames
    if outcome.fault is None and outcome.summary["fault"]:
        note += f", {outcome.summary['fault']}"
    _show(folder, outcome.marks, note=note)
    if outcome.fault:
        raise outcome.fault


class _Speed(TextColumn):
    """Frames a second over the last half a minute."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f} frames/s")


@click.command()
@click.option("--session", required=True, help="Session to write.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option(
    "--idle-timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Give up when Kafka has been silent for so many seconds before the end of a topic.",
)
@flags(KafkaSettings)
def export(session: str, out: Path, idle_timeout: float, **options: Any) -> None:
    """Write what the services found in a session to files: a folder of OUT a camera.

    Reads the topics of windows and graphs from their beginning to what is there now, and writes what `microex analyze`
    writes; docs/outputs.md explains every field.
    """
    settings = load(KafkaSettings, **options)
    configure(settings)
    check_name("session", session)
    _make(out)
    for camera in export_session(settings, session, out, idle_timeout):
        _show(camera.folder, camera.marks, camera.origin_s)


def _make(out: Path) -> None:
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)


def _show(folder: Path, marks: Sequence[Mark], origin_s: float = 0.0, note: str = "") -> None:
    """A table of what was found, and where the files are."""
    console = Console()
    if not console.is_terminal:
        console.width = 120  # a pipe has no width; the table should not be squeezed into 80
    if marks:
        console.print(_table(marks, origin_s))
    if len(marks) > _ROWS:
        console.print(Text(f"… and {len(marks) - _ROWS:,} more"))
    console.print(Text(f"{', '.join(filter(None, (note, words(marks))))}: {folder}"), soft_wrap=True)


def _table(marks: Sequence[Mark], origin_s: float) -> Table:
    several = len({mark.track for mark in marks}) > 1
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("onset", "apex", "offset", "length", "kind", "emotion", "p"):
        table.add_column(name, justify="right" if name in ("onset", "apex", "offset", "length", "p") else "left")
    if several:
        table.add_column("face")
    table.add_column("AUs")
    for mark in marks[:_ROWS]:
        cells = [clock(time - origin_s, 2) for time in (mark.onset_s, mark.apex_s, mark.offset_s)]
        cells += [f"{mark.offset_s - mark.onset_s:.2f} s", mark.kind, mark.emotion, f"{mark.probability:.2f}"]
        cells += [mark.track] if several else []
        table.add_row(*map(Text, [*cells, ", ".join(mark.aus) or "none"]))
    return table
