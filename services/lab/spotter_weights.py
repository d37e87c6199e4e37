"""Fits the numbers by which the spotter judges brief candidates, on labelled videos, and writes them.

    python -m services.lab.spotter_weights VIDEOS --out services/spotter/weights.py

VIDEOS: a folder of videos with labels beside them, of training identities and motion style only. A candidate is
an expression when the interval that was placed around it matches a labelled micro-expression (IoU >= 0.5).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import click
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.lab.metrics import Span
from services.lab.recordings import Recording, frames_of, labelled
from services.spotter.core import Spotter
from services.spotter.judge import Verdict
from services.spotter.likelihood import FOR, features

Floats = NDArray[np.float64]

IOU: Final = 0.5
RIDGE: Final = 3.0
"""How strongly weights are pulled to 0: as by so many candidates at a standard deviation."""
LEAST: Final = 1e-3
"""A weight below this says nothing, at a standard deviation."""
STEPS: Final = 30
"""Of Newton's method; more change nothing."""


def messages_of(recording: Recording) -> Iterator[frame_pb2.FaceFrame]:
    """What ingest makes of a recording."""
    with (
        frames_of(recording) as frames,
        closing(Ingest("lab", "recording", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())) as ingest,
    ):
        for captured in frames:
            yield from ingest.step(captured)
        yield from ingest.finish(frame_pb2.End.REASON_SOURCE_END)


def verdicts_of(messages: Iterable[frame_pb2.FaceFrame]) -> list[Verdict]:
    """On the brief candidates of one recording."""
    spotter = Spotter()
    return [v for message in messages for v in spotter.step(message).verdicts if v.likelihood is not None]


def is_expression(verdict: Verdict, micros: Sequence[Span]) -> bool:
    """Whether the interval placed around a candidate matches one of the micro-expressions."""
    assert verdict.seen is not None
    start_s, seen = verdict.apex_us / 1e6, verdict.seen
    frame_s = float(np.median(np.diff(seen.times)))  # the last one counts whole, as in labels
    span = Span(start_s + seen.onset_s, start_s + seen.offset_s + frame_s)
    return any(span.iou(micro) >= IOU for micro in micros)


def fit(rows: Floats, right: Floats, signs: Floats) -> tuple[float, Floats, Floats]:
    """Bias, weight of each feature, and the feature of a typical expression: logistic regression by Newton's method on
    standardised features. A feature that would speak against its sign is left out, weight 0, so that every weight can
    be explained. rows: [N, F]; right: [N] of 0 and 1; signs: [F] of 1 (speaks for an expression) and -1."""
    typical, spread = np.median(rows[right == 1], axis=0), rows.std(0) + 1e-9
    used = np.ones(rows.shape[1], bool)
    while True:
        weights = np.zeros(rows.shape[1])
        bias, weights[used] = _newton((rows[:, used] - typical[used]) / spread[used], right)
        wrong = used & (weights * signs < LEAST)
        if not wrong.any():
            return bias, weights / spread, typical
        used &= ~wrong


def _newton(rows: Floats, right: Floats) -> tuple[float, Floats]:
    design = np.column_stack([np.ones(len(rows)), rows])
    pull = np.diag([0.0] + [RIDGE] * rows.shape[1])
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-(design @ weights)))
        slope = design.T @ (right - chance) - pull @ weights
        weights += np.linalg.solve(design.T @ (design * (chance * (1 - chance))[:, None]) + pull, slope)
    return float(weights[0]), weights[1:]


def table(verdicts: Sequence[Verdict]) -> tuple[list[str], Floats]:
    """Names of the features, and a row of them for each candidate."""
    found = [features(verdict.seen.measures) for verdict in verdicts if verdict.seen is not None]
    return list(found[0]), np.array([list(each.values()) for each in found])


def source(bias: float, names: Sequence[str], weights: Floats, typical: Floats) -> str:
    """The file that the spotter imports."""
    lines = [f'"""{_DOC}"""', "", "from typing import Final", "", f"BIAS: Final = {bias:.4g}", ""]
    for title, values in (("WEIGHTS", weights), ("TYPICAL", typical)):
        lines += [f"{title}: Final[dict[str, float]] = {{"]
        lines += [f'    "{name}": {value:.4g},' for name, value in zip(names, values, strict=True)]
        lines += ["}", ""]
    return "\n".join(lines)


_DOC: Final = (
    "Numbers of the likelihood of a brief candidate, written by `python -m services.lab.spotter_weights`;\n"
    "docs/results.md says on what.\n"
)


@click.command(help=__doc__.partition("\n")[0])
@click.argument("videos", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def main(videos: Path, out: Path) -> None:
    verdicts: list[Verdict] = []
    right: list[bool] = []
    for recording in labelled(videos):
        micros = [truth.span for truth in recording.truths if truth.kind == "micro"]
        found = verdicts_of(messages_of(recording))
        verdicts += found
        right += [is_expression(verdict, micros) for verdict in found]
    names, rows = table(verdicts)
    signs = np.array([1.0 if name in FOR else -1.0 for name in names])
    bias, weights, typical = fit(rows, np.array(right, float), signs)
    out.write_text(source(bias, names, weights, typical), "utf-8")
    click.echo(f"{sum(right)} of {len(right)} candidates are expressions: {out}")


if __name__ == "__main__":
    main()
