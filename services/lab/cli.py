"""`microex train`, and `microex evaluate`: what a recogniser, or the whole path, is worth on labelled recordings."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.common.logs import configure
from services.common.settings import AnalyzeSettings, ModelSettings, flags, load
from services.lab.datasets.readers import LONG_READERS, READERS
from services.lab.protocol import FOLDS, PROTOCOLS

_FOLDER = click.Path(path_type=Path)


@click.group()
def evaluate() -> None:
    """Score recognition on data sets, spotting on long videos, or the parts of the network.

    docs/datasets.md says how each data set must lie in its folder and what every number in a report means.
    """


@evaluate.command()
@click.option("--dataset", required=True, help=f"One of {', '.join(READERS)}; or several, separated by commas.")
@click.option(
    "--root",
    "roots",
    required=True,
    multiple=True,
    type=_FOLDER,
    help="Folder of the data set; for several, once for each or one folder that holds a folder for each.",
)
@click.option("--protocol", type=click.Choice(PROTOCOLS), default="loso", show_default=True, help="Who is tested.")
@click.option("--classes", type=click.Choice(["3", "5"]), default="3", show_default=True, help="Emotion classes.")
@click.option(
    "--init",
    type=click.Choice(["shipped", "scratch"]),
    default="shipped",
    show_default=True,
    help="Where training starts from.",
)
@click.option("--aus", type=_FOLDER, help="CSV (path, aus) of AU codes, in place of the data set's own.")
@click.option(
    "--folds", type=click.IntRange(min=2), default=FOLDS, show_default=True, help="Folds of the k-fold protocols."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of folds, training and bootstrap."
)
@click.option("--workers", type=click.IntRange(1), help="Processes that share the folds.  [default: one a core]")
@click.option("--out", required=True, type=_FOLDER, help="Folder for the report; a run that was killed goes on there.")
@flags(AnalyzeSettings)
def recognition(
    dataset: str,
    roots: tuple[Path, ...],
    protocol: Any,
    classes: str,
    init: Any,
    aus: Path | None,
    folds: int,
    seed: int,
    workers: int | None,
    out: Path,
    **options: Any,
) -> None:
    """Train and test on a data set by a protocol; report UF1, UAR and more, beside two baselines on the same folds.

    Writes report.json, report.md, report.csv and confusion.png into OUT.
    """
    from services.lab.evaluate import Question, evaluate

    settings = load(AnalyzeSettings, **options)
    configure(settings)
    names = tuple(name.strip() for name in dataset.split(",") if name.strip())
    question = Question(names, roots, protocol, int(classes), init, aus, folds, seed, workers or _workers(settings))
    with _bar() as progress:
        report = evaluate(question, out, settings, progress)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("recogniser", "UF1", "95 %", "UAR", "accuracy"):
        table.add_column(column, justify="left" if column == "recogniser" else "right")
    for name, scores in {report["recogniser"]: report, **report["baselines"]}.items():
        low, high = scores["uf1_interval"]["low"], scores["uf1_interval"]["high"]
        table.add_row(
            name,
            *(f"{scores['uf1']:.3f}", f"{low:.3f}-{high:.3f}"),
            *(f"{scores[score]:.3f}" for score in ("uar", "accuracy")),
        )
    Console().print(table)
    for note in report["notes"]:
        click.echo(f"Note: {note}.")
    click.echo(f"{report['n']} clips of {report['persons']} persons: {out / 'report.md'}")


@evaluate.command()
@click.option("--baselines", is_flag=True, help="Score two published ways of spotting beside it; slow.")
@click.option(
    "--explain",
    is_flag=True,
    help="Also write every candidate with its curve and what became of it, and contact sheets.",
)
@click.option("--videos", type=_FOLDER, help="Folder of videos, each with its labels beside it as <stem>.json.")
@click.option(
    "--dataset", type=click.Choice(list(LONG_READERS)), help="A data set of long videos, instead of --videos."
)
@click.option("--root", type=_FOLDER, help="Folder of that data set.")
@click.option("--out", required=True, type=_FOLDER, help="Folder for the report; a run that was killed goes on there.")
@flags(AnalyzeSettings)
def spotting(
    videos: Path | None,
    dataset: str | None,
    root: Path | None,
    out: Path,
    baselines: bool,
    explain: bool,
    **options: Any,
) -> None:
    """Find expressions in long videos and compare with what is labelled: F1 at IoU 0.5, recall, false alarms, delay.

    Writes report.json, report.md, found.csv and spotting.png into OUT.
    """
    from services.lab.recordings import labelled, long_videos
    from services.lab.spotting import Extras, evaluate_spotting

    if (videos is None) == (dataset is None) or (dataset is None) != (root is None):
        raise click.UsageError("give either --videos, or --dataset with --root")
    settings = load(AnalyzeSettings, **options)
    configure(settings)
    recordings = labelled(videos) if videos is not None else long_videos(str(dataset), Path(str(root)))
    with _bar() as progress:
        report = evaluate_spotting(recordings, out, settings, progress, Extras(baselines, explain))
    for kind, scores in report["kinds"].items():
        click.echo(
            f"{kind:5}  F1 {scores['f1']:.3f}  recall {scores['recall']:.3f}  precision {scores['precision']:.3f}"
        )
    if (said := report["recognition"]) is not None:
        click.echo(f"{said['n']} of them recognised: UF1 {said['uf1']:.3f}")
    click.echo(
        f"{report['false_alarms_per_minute']:.2f} false alarms a minute in {report['minutes']:.1f} minutes: "
        f"{out / 'report.md'}"
    )


@evaluate.command()
@click.option("--out", required=True, type=_FOLDER, help="Folder for the tables; a run that was killed goes on there.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings of each network.")
@click.option("--steps", type=click.IntRange(1), help="Updates of the weights, instead of the recipe's.")
@click.option("--part", "parts", multiple=True, help="Switch off this part only; may be repeated.  [default: each]")
@click.option("--device", help="auto, cpu or cuda.  [default: auto]")
def ablation(out: Path, seeds: int, steps: int | None, parts: tuple[str, ...], device: str | None) -> None:
    """What each part of STAG is worth: train without it, score on the motion style that is held out.

    Writes ablation.json and ablation.md into OUT and prints the table.
    """
    from services.lab.ablation import PARTS, ablate, table
    from services.lab.pretrain import short
    from services.lab.recipe import ABLATION

    if unknown := set(parts) - set(PARTS):
        raise click.UsageError(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    settings = load(ModelSettings, device=device)
    configure(settings)
    with _bar() as progress:
        rows = ablate(out, short(ABLATION, steps), range(seeds), settings, parts or PARTS, progress)
    click.echo(table(rows), nl=False)


@click.command()
@click.option("--out", required=True, type=_FOLDER, help="File for the weights, .safetensors; a record goes beside it.")
@click.option("--faces", type=_FOLDER, help="Folder of still faces; clips are measured on its training identities.")
@click.option(
    "--stored", multiple=True, type=_FOLDER, help="File of clips made by `microex synth clips`; may be repeated."
)
@click.option("--steps", type=click.IntRange(1), help="Updates of the weights, instead of the recipe's.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seed, other weights.")
@click.option("--workers", type=click.IntRange(0), help="Processes that make clips.  [default: a core each, but one]")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint that a training which was killed left.")
@click.option("--device", help="auto, cpu or cuda.  [default: auto]")
def train(
    out: Path,
    faces: Path | None,
    stored: tuple[Path, ...],
    steps: int | None,
    seed: int,
    workers: int | None,
    resume: bool,
    device: str | None,
) -> None:
    """Train STAG on generated clips, by one recipe that is fixed in advance.

    Writes the weights with their thresholds to OUT, and recipe, time, hardware and scores on generated validation clips
    to a .json beside it. Identities kept for testing and one motion style are never seen.
    """
    from services.lab.generated import default_workers
    from services.lab.pretrain import Task, pretrain, short
    from services.lab.recipe import GENERATED

    settings = load(ModelSettings, device=device)
    configure(settings)
    recipe = short(GENERATED, steps)
    task = Task(out, recipe, seed, faces, stored, default_workers() if workers is None else workers, resume)
    with _bar() as progress:
        report = pretrain(task, settings, progress)
    click.echo(
        f"{report['steps']} steps of {recipe.batch} clips in {report['training_seconds']:.0f} s, after "
        f"{report['making_seconds']:.0f} s of making them, on {report['hardware']}"
    )
    found = report["validation"]
    au_f1 = "none with enough positives" if found["au_f1"] is None else f"{found['au_f1']:.3f}"
    click.echo(
        f"On {found['n']} generated validation clips: UF1 {found['uf1']:.3f}, mean AU F1 {au_f1} (by thresholds chosen "
        "on these clips)"
    )
    click.echo(f"Weights {report['digest'][:12]}: {out}")


def _workers(settings: ModelSettings) -> int:
    """One a core; one alone where a GPU does the work."""
    from services.recognizer.engine import choose_device

    return 1 if choose_device(settings.device).type == "cuda" else len(os.sched_getaffinity(0))


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each thing that is done, elsewhere than on a terminal a line for each tenth of it; call it
    with name, steps done, steps in all."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    tenths: dict[str, int] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)
            if not console.is_terminal and (tenth := 10 * done // total) > tenths.get(name, 0):
                tenths[name] = tenth
                click.echo(f"{name}: {done} of {total}", err=True)

        yield step
