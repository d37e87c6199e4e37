"""Labelled motion measured on moved pictures, the way the spotter measures it: crop, JPEG, flow, head removed, patches.

Only the onset and the selected frames are rendered. Landmarks are the true ones with a landmarker's jitter; `spotted`
goes the whole way instead, landmarker and spotter included."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.ingest.align import cut, place, to_crop
from services.ingest.core import encode
from services.lab.synth import timing, tracks
from services.lab.synth.algorithms import ALGORITHMS, Algorithm, flow
from services.lab.synth.batch import Clips, join
from services.lab.synth.faces import Still
from services.lab.synth.render import Plate
from services.lab.synth.scene import Mover, Scene
from services.lab.synth.styles import Style
from services.lab.synth.timing import FRAMES
from services.motion.convention import CROP_PX, EYE_DISTANCE_PX
from services.motion.displacement import Sampler
from services.motion.flow import remove_head_motion
from services.motion.patches import cut_patches
from services.motion.rois import PATCH, ROIS, roi_centres

LEAD_S: Final = 0.3
"""A scene begins as long before its window, at the rate of TICKS."""
TICKS: Final = 200.0
"""Frames a second of the scene, of which a few are rendered."""
EYE_DISTANCE_PX_RANGE: Final = (50.0, 150.0)
"""Of the face in the picture."""
JITTER: Final = 0.0006
"""Standard deviation of a landmark from frame to frame, outer-eye distances; 0.08 px at 140."""
BIAS: Final = 0.008
"""… and from where it ought to be, the same in all frames of a clip."""
TIMING: Final = 0.3
BEGUN: Final = 0.15

Crop = NDArray[np.uint8]


def clips(
    rng: np.random.Generator,
    count: int,
    stills: Sequence[Still],
    movers: dict[str, Mover],
    style: Style,
    strength: tracks.Strengths,
    algorithms: Sequence[Algorithm] = ALGORITHMS,
) -> Clips:
    """`count` clips, faces in turn, algorithms at random. movers: by identity, of that style."""
    made = []
    for i in range(count):
        still = stills[i % len(stills)]
        made.append(_clip(rng, still, movers[still.identity], style, strength,
                          algorithms[int(rng.integers(len(algorithms)))]))  # fmt: skip
    return join(made)


def plate(rng: np.random.Generator, still: Still, mover: Mover) -> Plate:
    """The face alone, as large as cameras show it."""
    unit = float(np.exp(rng.uniform(*np.log(EYE_DISTANCE_PX_RANGE))))
    size = (round(2.6 * unit), round(2.9 * unit))
    return Plate(still, mover.sheets, size, unit, (size[0] / 2, 1.0 * unit))


def scene(
    rng: np.random.Generator, still: Still, mover: Mover, window: timing.Window, strength: tracks.Strengths
) -> tuple[Scene, list[int]]:
    """The window's expression on a face, and the numbers of its onset and its selected frames."""
    span = np.array([window.onset_s, *window.seconds])
    begin = min(window.onset_s, 0.0) - LEAD_S
    numbers = np.rint((span - begin) * TICKS).astype(int)
    times = np.arange(numbers[-1] + 1) / TICKS
    expression = window.expression.shifted(-begin)
    return Scene(
        plate(rng, still, mover), mover, tracks.draw(rng, times, strength), [expression], TICKS
    ), numbers.tolist()


def _clip(
    rng: np.random.Generator, still: Still, mover: Mover, style: Style, strength: tracks.Strengths, algorithm: Algorithm
) -> Clips:
    window = timing.draw(rng, TIMING, BEGUN)
    shown, numbers = scene(rng, still, mover, window, strength)
    bias = rng.normal(0, BIAS, (478, 2)) * shown.plate.eye_distance
    (start, landmarks), *others = [_crop(rng, shown, i, bias) for i in numbers]
    sampler, centres = Sampler(landmarks), roi_centres(landmarks)
    motion = np.zeros((1, FRAMES, len(ROIS), 3, PATCH, PATCH), np.float32)
    for k, (end, _) in enumerate(others):
        field = flow(algorithm)(start, end)
        head = sampler(field)
        motion[0, k] = cut_patches(remove_head_motion(field, head.similarity()), centres, EYE_DISTANCE_PX)
        motion[0, k, :, :2] -= head.turn()[:, :, None, None]
    present = np.arange(FRAMES)[None] < len(others)
    seen = present[..., None] & ((centres >= 0) & (centres < CROP_PX)).all(1)
    times = np.zeros((1, FRAMES), np.float32)
    times[0, : len(others)] = window.seconds - window.apex_s
    drawn = [window.expression.drawn]
    return Clips.make(motion * seen[..., None, None, None], times, seen, present, drawn, [still.identity], style)


def _crop(
    rng: np.random.Generator, shown: Scene, i: int, bias: NDArray[np.float64]
) -> tuple[Crop, NDArray[np.float32]]:
    """The canonical crop of a frame as ingest stores it, [CROP_PX, CROP_PX], and its landmarks."""
    jitter = rng.normal(0, JITTER, (478, 2)) * shown.plate.eye_distance
    points = (shown.landmarks(i) + bias + jitter).astype(np.float32)
    to_picture = place(points).to_picture()
    stored = np.frombuffer(encode(cut(shown.frame(i), to_picture)), np.uint8)
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), np.uint8), to_crop(points, to_picture)
