"""Real footage with known micro-expressions on top of whatever its face does by itself: an .mp4 with labels beside it.

The generator's own warps move the skin of each frame, at the landmarks of that frame. What the face does by itself is
not labelled, so recall means something here and false alarms do not.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.errors import Poison
from services.common.settings import LandmarkSettings
from services.ingest.landmarks import Landmarker
from services.ingest.sources import Captured, open_video
from services.lab.synth.faces import Still
from services.lab.synth.render import Picture, Plate
from services.lab.synth.scene import VISIBLE_PX, Expression, Mover, draw_expression, label, mover_of
from services.lab.synth.sheets import to_face
from services.lab.synth.styles import Style
from services.lab.synth.videos import writer
from services.motion.aus import AUS

FIRST_S: Final = 1.0
LAST_S: Final = 0.6
"""Nothing is planted so soon, or so late."""
GAP_S: Final = (0.9, 1.8)
"""From the end of one to the start of the next, seconds, lowest and highest."""

_OPEN: Final = np.zeros(2)
"""Eyes that the planted expression does not close."""


def write(
    folder: Path,
    video: Path,
    rounds: int,
    style: Style,
    seed: int,
    intensity: tuple[float, float],
) -> list[Path]:
    """`rounds` videos, each with other expressions; returns their paths. intensity: lowest and highest of an
    expression. Raises Poison when no face is in the first frame."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(rounds):
        path = folder / f"{video.stem}-{style}-{seed}-{number:02d}.mp4"
        labels = _plant(path, video, np.random.default_rng([seed, number]), style, intensity)
        path.with_suffix(".json").write_text(json.dumps(labels, indent=1) + "\n")
        paths.append(path)
    return paths


def _plant(
    path: Path,
    video: Path,
    rng: np.random.Generator,
    style: Style,
    intensity: tuple[float, float],
) -> dict[str, Any]:
    """Writes one video; returns its labels. The footage is read twice, so that it is never held whole."""
    with open_video(video) as source, closing(Landmarker(LandmarkSettings())) as landmarker:
        frames = iter(source)
        first = next(frames)
        times = np.array([first.time_us, *(each.time_us for each in frames)], np.float64) / 1e6
        still = _still(landmarker, first)
    if still is None:
        raise Poison("no face in the first frame", file=video.name)
    fps = (len(times) - 1) / (times[-1] - times[0])
    mover = mover_of(still, style)
    events, coefficients = _script(rng, times - times[0], mover, still.eye_distance, intensity)
    missed, size = set[int](), first.picture.shape[1::-1]
    with (
        open_video(video) as source,
        closing(Landmarker(LandmarkSettings())) as landmarker,
        writer(path, "MJPG", fps, (size[0], size[1])) as put,
    ):
        for i, captured in enumerate(source):
            still = _still(landmarker, captured) if coefficients[i].any() else None
            if still is None:
                missed |= {i} if coefficients[i].any() else set()
                put(captured.picture)
            else:
                put(_moved(still, mover, coefficients[i], (size[0], size[1])))
    whole = [event for event in events if not missed.intersection(range(event["onset"], event["offset"] + 1))]
    return {"fps": fps, "frames": len(times), "events": whole}


def _script(
    rng: np.random.Generator, times: NDArray[np.float64], mover: Mover, eye_px: float, intensity: tuple[float, float]
) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Labels, and [n, A, 2] coefficients of AUs."""
    events: list[dict[str, Any]] = []
    coefficients, at = np.zeros((len(times), len(AUS), 2)), FIRST_S
    while True:
        expression: Expression = draw_expression(rng, "micro", at, intensity)
        end = at + expression.course.whole_s + expression.lags.max()
        if end > times[-1] - LAST_S:
            return events, coefficients
        own = expression.at(times)
        size = mover.reach(own) * eye_px
        shown = np.flatnonzero(size > VISIBLE_PX)
        if len(shown):
            coefficients[shown[0] : shown[-1] + 1] += own[shown[0] : shown[-1] + 1]
            events.append(label(expression, int(shown[0]), int(size.argmax()), int(shown[-1])))
        at = end + rng.uniform(*GAP_S)


def _still(landmarker: Landmarker, captured: Captured) -> Still | None:
    """The largest face of a frame; None when there is none."""
    found = landmarker(captured.picture, captured.time_us)
    return Still("", captured.picture, max(found, key=lambda face: face.spread).points) if found else None


def _moved(still: Still, mover: Mover, aus: NDArray[np.float64], size: tuple[int, int]) -> Picture:
    """The frame, its face moved and nothing else."""
    _, to_picture = to_face(still.points)
    centre = (float(to_picture[0, 2]), float(to_picture[1, 2]))
    plate = Plate(still, mover.sheets, size, still.eye_distance, centre)
    return plate(mover(aus, _OPEN))
