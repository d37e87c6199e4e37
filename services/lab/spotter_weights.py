"""Fits the trees by which the spotter judges brief candidates, on labelled videos, and writes them.

    python -m services.lab.spotter_weights VIDEOS --out services/spotter/trees.npz

VIDEOS: a folder of videos with labels beside them, of training identities and motion style only. Each is followed once
and then judged many times, with other expressions planted into it (`replant.py`). A candidate is an expression when the
interval that was placed around it matches a labelled micro-expression (IoU >= 0.5).
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from microex.v1 import frame_pb2, stream_pb2
from services.analyze.files import whole
from services.common.errors import Fatal
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.lab.metrics import IOU, Span
from services.lab.recordings import Recording, frames_of, labelled
from services.lab.replant import Replay, plant
from services.lab.synth.muscles import PEOPLE
from services.lab.synth.styles import Style
from services.motion.rois import ROIS, mirrored
from services.spotter.judge import Verdict
from services.spotter.likelihood import FOR, features

Floats = NDArray[np.float64]

STYLE: Final[Style] = "muscle"
ROUNDS: Final = 8
"""How often each video is judged: once as it is, then with expressions planted into it."""
INTENSITY: Final = (0.15, 0.4)
"""Of planted micro-expressions."""
TREES: Final = {
    "max_iter": 250, "learning_rate": 0.06, "max_leaf_nodes": 12, "min_samples_leaf": 60, "l2_regularization": 5.0,
    "max_features": 0.3, "early_stopping": False, "random_state": 0,
}  # fmt: skip
"""As scikit-learn's HistGradientBoostingClassifier takes them; fixed in advance."""


@dataclass(frozen=True)
class Candidates:
    """names: [F] of the features; rows: [N, F]; right: [N] whether each is an expression."""

    names: tuple[str, ...]
    rows: Floats
    right: NDArray[np.bool_]


def candidates(recording: Recording, rounds: int, seed: int) -> Candidates:
    """Of a recording, as it is and with expressions planted."""
    sights = Replay(whole=True).see(_messages(recording))
    shown = [truth.span for truth in recording.truths]
    micros = [truth.span for truth in recording.truths if truth.kind == "micro"]
    start_us, rows, right = int(sights[0].row["time_us"]), list[dict[str, float]](), list[bool]()
    for number in range(rounds):
        now, also = sights, list[Span]()
        if number:
            rng = np.random.default_rng([seed, number])
            planted = plant(rng, sights, shown, STYLE, int(rng.integers(PEOPLE + 1)), INTENSITY)
            now, also = planted.sights, planted.micros
        for verdict in Replay(whole=True).watch(now):
            if verdict.likelihood is not None and verdict.seen is not None:
                rows.append(features(verdict.seen))
                right.append(is_expression(verdict, start_us, [*micros, *also]))
    names = tuple(rows[0]) if rows else ()
    return Candidates(names, np.array([list(row.values()) for row in rows]), np.array(right, bool))


def _messages(recording: Recording) -> Iterator[frame_pb2.FaceFrame]:
    """What ingest makes of a recording."""
    with (
        frames_of(recording) as frames,
        closing(Ingest("lab", "recording", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())) as ingest,
    ):
        for captured in frames:
            yield from ingest.step(captured)


def is_expression(verdict: Verdict, start_us: int, micros: Sequence[Span]) -> bool:
    """Whether the interval placed around a candidate matches one of the micro-expressions (seconds since start_us)."""
    assert verdict.seen is not None
    apex_s, seen = (verdict.apex_us - start_us) / 1e6, verdict.seen
    frame_s = float(np.median(np.diff(seen.times)))  # the last one counts whole, as in labels
    span = Span(apex_s + seen.onset_s, apex_s + seen.offset_s + frame_s)
    return any(span.iou(micro) >= IOU for micro in micros)


def fit(found: Candidates) -> dict[str, NDArray[Any]]:
    """The arrays of `services.spotter.trees.Trees`. They rise with measures that speak for an expression and fall with
    the others; curve and pattern are free. Each candidate is shown mirrored too, which only the pattern tells."""
    signs = [0 if name.startswith(("curve ", "pattern ")) else 1 if name in FOR else -1 for name in found.names]
    model = HistGradientBoostingClassifier(monotonic_cst=signs, **TREES)
    rows = np.concatenate([found.rows, _mirror(found)])
    model.fit(rows, np.concatenate([found.right, found.right]))
    trees = [predictor.nodes for (predictor,) in model._predictors]
    first = np.cumsum([0, *map(len, trees)])
    nodes = np.concatenate(trees)
    shift = np.repeat(first[:-1], np.diff(first))
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "names": np.array(found.names),
        "typical": np.median(found.rows[found.right], axis=0),
        "feature": np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
        "threshold": nodes["num_threshold"],
        "left": (nodes["left"] + shift).astype(np.int32),
        "right": (nodes["right"] + shift).astype(np.int32),
        "value": np.where(leaf, nodes["value"], 0),
        "roots": first[:-1].astype(np.int32),
        "base": np.asarray(model._baseline_prediction[0, 0]),
    }


def _mirror(found: Candidates) -> Floats:
    rows = found.rows.copy()
    at = {name: k for k, name in enumerate(found.names)}
    for roi, twin in zip(ROIS, mirrored(), strict=True):
        for axis, sign in (("x", -1), ("y", 1)):
            rows[:, at[f"pattern {roi.name} {axis}"]] = sign * found.rows[:, at[f"pattern {ROIS[twin].name} {axis}"]]
    return rows


def _write(out: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with whole(out) as part:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]


@click.command(help=__doc__.partition("\n")[0])
@click.argument("videos", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write, .npz.")
@click.option("--rounds", default=ROUNDS, show_default=True, type=click.IntRange(1), help="Judgements of each video.")
@click.option("--workers", default=-1, show_default=True, help="Processes; -1: a core each.")
def main(videos: Path, out: Path, rounds: int, workers: int) -> None:
    recordings = labelled(videos)
    jobs = (delayed(candidates)(recording, rounds, number) for number, recording in enumerate(recordings))
    each = [one for one in Parallel(workers)(jobs) if len(one.rows)]
    found = Candidates(
        each[0].names, np.concatenate([one.rows for one in each]), np.concatenate([one.right for one in each])
    )
    if not found.right.any():
        raise Fatal("no candidate in these videos is an expression", videos=len(recordings))
    _write(out, fit(found))
    click.echo(f"{found.right.sum()} of {len(found.right)} candidates are expressions: {out}")


if __name__ == "__main__":
    main()
