"""How many expressions planted into real footage can be told from it at all, beside what the spotter finds of them.

    microex synth planted VIDEO... --out PLANTED
    python -m bench.planted PLANTED VIDEO...

An oracle knows of each when it was planted, what it moves and how long it takes. It filters the footage for just that
movement (a matched filter, in units of the noise that each channel has in this footage), and can tell it when the
answer there is larger than any in the footage as it was: than whatever the face does by itself, in all of it or within
NEAR_S. Who does not know what to look for, nor when, tells fewer.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from bench.spotter import face_frames
from microex.v1 import frame_pb2, window_pb2
from services.lab.metrics import Span, match
from services.lab.recordings import Recording, Truth, labelled
from services.motion.templates import FLAT, explained
from services.spotter.constants import CONSTANTS as C
from services.spotter.core import Spotter
from services.spotter.curve import TO_SIGMA, rise_and_fall
from services.spotter.matched import AROUND_S
from services.spotter.reading import Face, read
from services.spotter.rows import SECOND, Rows
from services.spotter.signal import Signal

Floats = NDArray[np.float64]

HALF_S: Final = 0.75
"""A movement is looked for in so much of the footage on either side of its apex: while the reference stays the same."""

NEAR_S: Final = 2.0

EDGES: Final = (0.0, 0.3, 0.5, 0.7, 1.01)
"""Of the bins: intensity of the strongest AU."""


class Around(NamedTuple):
    """A frame and what surrounds it. seconds: [n] since it; position: [n, R, 2] of each ROI, outer-eye distances."""

    seconds: Floats
    position: NDArray[np.float32]


def measured(messages: Sequence[frame_pb2.FaceFrame]) -> dict[int, Around]:
    """By time, microseconds: every frame that has enough of the footage on both sides."""
    rows, found, half_us = Rows(int(C.rows_s * SECOND)), dict[int, Around](), int(HALF_S * SECOND)
    signal = Signal(rows)
    for message in messages:
        face = read(message)
        if not isinstance(face, Face) or face.flaw:
            continue
        signal.take(signal.see(face))
        middle = int(rows.times.searchsorted(face.time_us - half_us))
        time_us = int(rows.times[middle])
        if time_us - int(rows.times[0]) >= half_us:
            near = slice(int(rows.times.searchsorted(time_us - half_us)), len(rows))
            found[time_us] = Around((rows.times[near] - time_us) / SECOND, rows.table["position"][near].copy())
    return found


def answers(footage: dict[int, Around], rise_s: float, fall_s: float) -> tuple[Floats, Floats]:
    """[n] seconds, and [n, R, 2]: what a filter for a movement of those durations says there."""
    seconds = np.array(list(footage)) / SECOND
    return seconds, np.array([_filtered(around, rise_s, fall_s) for around in footage.values()])


def _filtered(around: Around, rise_s: float, fall_s: float) -> Floats:
    """[R, 2]; what stays constant says nothing."""
    shape = rise_and_fall(around.seconds, rise_s, fall_s)
    near = (around.seconds > -rise_s - AROUND_S) & (around.seconds < fall_s + AROUND_S)
    kernel = np.where(near, shape - shape[near].mean(), 0)
    return np.tensordot(kernel / (kernel @ shape), around.position.astype(np.float64), 1)


def told(truth: Truth, bare: dict[int, Around], planted: dict[int, Around], frame_s: float) -> tuple[bool, bool]:
    """Whether the oracle tells it from all of the footage, and from what is near."""
    assert truth.apex_s is not None, "planted ones have an apex"
    rise_s, fall_s = truth.apex_s - truth.span.start + frame_s, truth.span.end - truth.apex_s + frame_s
    (bare_s, before), (planted_s, after) = answers(bare, rise_s, fall_s), answers(planted, rise_s, fall_s)
    noise = TO_SIGMA * np.median(np.abs(before - np.median(before, 0)), 0)
    noise = np.maximum(noise, C.noise_floor / 2)
    here = int(np.abs(planted_s - truth.apex_s).argmin())
    if abs(planted_s[here] - truth.apex_s) > frame_s:
        return False, False  # so close to an end that nobody could compare it with what was before and after
    brought = after[here] - before[int(np.abs(bare_s - truth.apex_s).argmin())]
    units = FLAT / noise.ravel()
    units /= np.sqrt((units**2).sum(1, keepdims=True))
    weight = explained((brought / noise).ravel(), units).reshape(noise.shape) / noise
    at_apex = np.abs(planted_s - truth.apex_s) <= 2 * frame_s
    answer, usual = (after[at_apex] * weight).sum((1, 2)).max(), np.abs((before * weight).sum((1, 2)))
    return bool(answer > usual.max()), bool(answer > usual[np.abs(bare_s - truth.apex_s) <= NEAR_S].max())


def found(truths: Sequence[Truth], messages: Sequence[frame_pb2.FaceFrame]) -> set[int]:
    """Which of them the spotter calls micro at the right place."""
    spotter = Spotter()
    windows = [window for message in messages for window in spotter.step(message).windows]
    spans = [
        Span(window.onset.time_us / SECOND, window.offset.time_us / SECOND)
        for window in windows
        if window.kind == window_pb2.KIND_MICRO
    ]
    return {truth for truth, _ in match([truth.span for truth in truths], spans)}


def table(recordings: Sequence[Recording], bare: dict[int, Around]) -> NDArray[np.int64]:
    """[bins, 4]: how many were planted, found, told from all, told from what is near."""
    counts = np.zeros((len(EDGES) - 1, 4), np.int64)
    for recording in recordings:
        messages = face_frames(recording.path)
        truths = [truth for truth in recording.truths if truth.kind == "micro"]
        planted, hits = measured(messages), found(truths, messages)
        for number, truth in enumerate(truths):
            row = int(np.searchsorted(EDGES, truth.amplitude or 0, "right")) - 1
            counts[row] += (1, number in hits, *told(truth, bare, planted, 1 / recording.fps))
    return counts


@click.command(help=__doc__.partition("\n")[0])
@click.argument("folder", metavar="PLANTED", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path, dir_okay=False))
def main(folder: Path, videos: tuple[Path, ...]) -> None:
    cv2.setNumThreads(1)
    print(f"{'footage':32}{'strongest AU':>14}{'planted':>9}{'found':>7}{'told from all':>15}{'from near':>11}")
    recordings = labelled(folder)
    for video in videos:
        counts = table(
            [each for each in recordings if each.name.startswith(f"{video.stem}-")], measured(face_frames(video))
        )
        rows: list[tuple[str, Any]] = [
            (f"{low:.1f} to {min(high, 1):.1f}", row) for (low, high), row in zip(pairwise(EDGES), counts, strict=True)
        ]
        for name, (planted, hits, anywhere, nearby) in [*rows, ("all", counts.sum(0))]:
            print(f"{video.stem[:30]:32}{name:>14}{planted:9}{hits:7}{anywhere:15}{nearby:11}")


if __name__ == "__main__":
    main()
