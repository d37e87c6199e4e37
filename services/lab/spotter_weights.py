"""Fits the trees by which the spotter judges candidates, on labelled videos, and writes them.

    python -m services.lab.spotter_weights VIDEOS --out services/spotter/trees.npz

VIDEOS: a folder of videos with labels beside them, of training identities and motion style only. Each is followed once
and then judged many times, with other expressions planted into it (`replant.py`). Where onset and offset are is learned
on brief candidates whose apex lies in a labelled micro-expression. A brief candidate is an expression when the interval
placed around it matches that one (IoU >= 0.5); one that lasts, when its own matches a macro-expression.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict

from microex.v1 import frame_pb2, stream_pb2
from services.analyze.files import whole
from services.common.errors import Fatal
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.lab.metrics import IOU, Span
from services.lab.recordings import Recording, frames_of, labelled
from services.lab.replant import Replay, Spans, plant
from services.lab.synth.muscles import PEOPLE
from services.lab.synth.styles import Style
from services.motion.rois import ROIS, mirrored
from services.spotter.likelihood import FOR, FREE, LASTING, LASTING_FREE, NAMES, row_of
from services.spotter.signal import Sight

Floats = NDArray[np.float64]

STYLE: Final[Style] = "muscle"
ROUNDS: Final = 8
"""How often each video is judged: once as it is, then with expressions planted into it."""
INTENSITY: Final = (0.15, 0.4)
"""Of planted micro-expressions."""
EXPRESSION: Final = {
    "max_iter": 250, "learning_rate": 0.06, "max_leaf_nodes": 12, "min_samples_leaf": 60, "l2_regularization": 5.0,
    "max_features": 0.3, "early_stopping": False, "random_state": 0,
}  # fmt: skip
"""As scikit-learn's HistGradientBoostingClassifier takes them; fixed in advance."""
HELD: Final = EXPRESSION | {"max_iter": 120, "max_leaf_nodes": 6}
"""Of those that last, which are fewer."""
FLANK: Final = {
    "loss": "absolute_error", "max_iter": 150, "learning_rate": 0.08, "max_leaf_nodes": 12, "min_samples_leaf": 40,
    "l2_regularization": 5.0, "early_stopping": False, "random_state": 0,
}  # fmt: skip
"""As HistGradientBoostingRegressor takes them; likewise."""
FOLDS: Final = 5
"""Whether a candidate is placed right is told by feet that were learned on other videos."""


@dataclass(frozen=True)
class Candidates:
    """names: [F] of the features. Brief ones: rows: [N, F]; flanks: [N, 2] seconds from onset to apex and from there to
    offset, of the micro-expression that the apex lies in, NaN where there is none; frame_s: [N] a frame lasts; video:
    [N]. Those that last: lasting: [M, LASTING] features; held: [M] whether it is a macro-expression, placed right."""

    names: tuple[str, ...]
    rows: Floats
    flanks: Floats
    frame_s: Floats
    video: NDArray[np.intp]
    lasting: Floats
    held: NDArray[np.bool_]


def joined(parts: Sequence[Candidates]) -> Candidates:
    """As one."""
    each = [[getattr(part, name) for part in parts] for name in [field.name for field in fields(Candidates)][1:]]
    return Candidates(parts[0].names, *map(np.concatenate, each))


def candidates(recording: Recording, rounds: int, number: int) -> Candidates:
    """Of a recording, as it is and with expressions planted. number: of the video."""
    rows, flanks, frames_s = list[Floats](), list[tuple[float, float]](), list[float]()
    lasting, held = list[Floats](), list[bool]()
    for sights, spans in _rounds(recording, rounds, number):
        for verdict in Replay(whole=True).watch(sights):
            if verdict.likelihood is None or verdict.seen is None:
                continue
            seen, at_s = verdict.seen, (verdict.apex_us - int(sights[0].row["time_us"])) / 1e6
            frame_s = float(np.median(np.diff(seen.times)))
            if verdict.brief:
                rows.append(row_of(seen)[0])
                flanks.append(flanks_of(at_s + float(seen.times[seen.apex]), frame_s, spans["micro"]))
                frames_s.append(frame_s)
            else:
                placed = Span(at_s + seen.onset_s + frame_s / 2, at_s + seen.offset_s + frame_s / 2)
                lasting.append(row_of(seen)[0])
                held.append(any(placed.iou(span) >= IOU for span in spans["macro"]))
    return Candidates(
        NAMES,
        np.array(rows).reshape(-1, len(NAMES)),
        np.array(flanks).reshape(-1, 2),
        np.array(frames_s),
        np.full(len(rows), number),
        np.array(lasting).reshape(-1, LASTING),
        np.array(held, bool),
    )


def _rounds(recording: Recording, rounds: int, number: int) -> Iterator[tuple[list[Sight], Spans]]:
    """What is seen of a recording, as it is and then with expressions planted, and where these and its own are."""
    messages = list(_messages(recording))
    sights = Replay(whole=True).see(messages)
    eye_distance_px = float(np.median([m.frame.quality.eye_distance_px for m in messages if m.HasField("frame")]))
    spans: Spans = {"micro": [], "macro": []}
    for truth in recording.truths:
        spans[truth.kind].append(truth.span)
    yield sights, spans
    for turn in range(1, rounds):
        rng = np.random.default_rng([number, turn])
        person, shown = int(rng.integers(PEOPLE + 1)), [*spans["micro"], *spans["macro"]]
        planted = plant(rng, sights, shown, STYLE, person, INTENSITY, eye_distance_px)
        yield planted.sights, {kind: spans[kind] + planted.spans[kind] for kind in spans}


def _messages(recording: Recording) -> Iterator[frame_pb2.FaceFrame]:
    """What ingest makes of a recording."""
    with (
        frames_of(recording) as frames,
        closing(Ingest("lab", "recording", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())) as ingest,
    ):
        for captured in frames:
            yield from ingest.step(captured)


def flanks_of(apex_s: float, frame_s: float, micros: Sequence[Span]) -> tuple[float, float]:
    """From onset to apex and from there to the last frame, of the micro-expression in which it lies, give or take a
    frame; NaN in none. The end of a span is that of its last frame."""
    for span in micros:
        if span.start - frame_s <= apex_s <= span.end:
            return apex_s - span.start, span.end - frame_s - apex_s
    return math.nan, math.nan


def right(found: Candidates) -> NDArray[np.bool_]:
    """[N]: whether a candidate is an expression and would be placed right (IoU >= 0.5). Raises ValueError when fewer
    than two videos show any."""
    known = ~np.isnan(found.flanks[:, 0])
    placed, true = np.zeros_like(found.flanks), found.flanks[known]
    told = found.rows[known][:, _told_by(found.names)]
    folds = GroupKFold(min(FOLDS, len(np.unique(found.video[known]))))
    for side in range(2):
        placed[known, side] = cross_val_predict(
            HistGradientBoostingRegressor(**FLANK), told, true[:, side], groups=found.video[known], cv=folds
        )
    both = np.minimum(placed[known], true).sum(1) + found.frame_s[known]
    either = np.maximum(placed[known], true).sum(1) + found.frame_s[known]
    answer = np.zeros(len(known), bool)
    answer[known] = both >= IOU * either
    return answer


def fit(found: Candidates, answer: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """answer: [N], of `right`. Returns the arrays of `services.spotter.trees.Trees`.

    That an expression is likely rises with measures that speak for one and falls with the others; curve and pattern are
    free. Each candidate is shown mirrored too, which only the pattern tells."""
    rows, answers = np.concatenate([found.rows, _mirror(found)]), np.concatenate([answer, answer])
    arrays = {"names": np.array(found.names)}
    arrays |= _expression("brief", rows, answers, _signs(found.names, FREE), EXPRESSION)
    arrays |= _expression("lasting", found.lasting, found.held, _signs(found.names[:LASTING], LASTING_FREE), HELD)
    known = ~np.isnan(found.flanks[:, 0])
    told_by = _told_by(found.names)
    for name, seconds in zip(("rise", "fall"), found.flanks[known].T, strict=True):
        flank = HistGradientBoostingRegressor(**FLANK).fit(found.rows[known][:, told_by], seconds)
        arrays |= _forest(name, flank, told_by)
    return arrays


def _signs(names: Sequence[str], free: tuple[str, ...]) -> list[int]:
    """Which way each feature speaks."""
    return [0 if name.startswith(free) else 1 if name in FOR else -1 for name in names]


def _expression(
    name: str, rows: Floats, answer: NDArray[np.bool_], signs: list[int], how: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    """What tells expressions, of rows [N, F], and what a usual one is."""
    model = HistGradientBoostingClassifier(monotonic_cst=signs, **how).fit(rows, answer)
    return {f"{name} typical": np.median(rows[answer], axis=0), **_forest(name, model, np.arange(len(signs)))}


def _told_by(names: Sequence[str]) -> NDArray[np.intp]:
    """Features that flanks are read off: measures and curve; the pattern tells nothing of them."""
    return np.array([k for k, name in enumerate(names) if not name.startswith("pattern ")])


def _forest(name: str, model: Any, columns: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """What a boosted model of scikit-learn says, as arrays. columns: of its features among all."""
    trees = [predictor.nodes for (predictor,) in model._predictors]
    first = np.cumsum([0, *map(len, trees)])
    nodes = np.concatenate(trees)
    shift = np.repeat(first[:-1], np.diff(first))
    leaf = nodes["is_leaf"].astype(bool)
    parts = {
        "feature": np.where(leaf, -1, columns[np.where(leaf, 0, nodes["feature_idx"])]).astype(np.int32),
        "threshold": nodes["num_threshold"],
        "left": (nodes["left"] + shift).astype(np.int32),
        "right": (nodes["right"] + shift).astype(np.int32),
        "value": np.where(leaf, nodes["value"], 0),
        "roots": first[:-1].astype(np.int32),
        "base": np.asarray(model._baseline_prediction[0, 0]),
    }
    return {f"{name} {part}": array for part, array in parts.items()}


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
    found = list(Parallel(workers)(jobs))
    if sum(bool((~np.isnan(one.flanks)).any()) for one in found) < 2 or not any(one.held.any() for one in found):
        raise Fatal(
            "too little to learn from was looked at: micro-expressions of two videos and a macro-expression are needed",
            videos=len(recordings),
        )
    together = joined(found)
    answer = right(together)
    _write(out, fit(together, answer))
    for what, each in (("brief", answer), ("lasting", together.held)):
        click.echo(f"{each.sum()} of {len(each)} {what} candidates are expressions, placed right: {out}")


if __name__ == "__main__":
    main()
