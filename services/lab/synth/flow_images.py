"""Flow images as the code bases of MEGC 2019 keep them: u, v and strain from onset to apex, 28 x 28, 8 bits.

Made in two ways: measured on two pictures of a moving face, and straight from AU fields, a thousand a second. Either
way quantises the same, and what a crop of a face shows is drawn border by border."""

import csv
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.lab.synth import measured, timing, tracks
from services.lab.synth.algorithms import ALGORITHMS, Algorithm, flow
from services.lab.synth.batch import Clips
from services.lab.synth.canvas import HARDER, Array, Canvas, Corruption, Single
from services.lab.synth.combos import EMOTIONS, Drawn
from services.lab.synth.faces import Still
from services.lab.synth.sampling import sample
from services.lab.synth.scene import Mover, mover_of
from services.lab.synth.sheets import to_face
from services.lab.synth.styles import Style
from services.motion.flow import strain
from services.motion.flow_image import LOOSEST, TIGHTEST, Borders, tensor_of
from services.motion.rois import ROIS

Image = NDArray[np.uint8]

SIZE: Final = 28
"""Side of an image, pixels."""
ALIGNED: Final = 0.5
"""Share of clips whose apex frame is cropped by its own landmarks, which takes most of the head's motion away."""
ROI_JITTER: Final = 0.03
"""Standard deviation of the error of a ROI's centre in training, outer-eye distances."""
BEGUN: Final = 0.1


def quantise(field: Single, stretched: Single) -> Image:
    """[SIZE, SIZE, 3] uint8, channels u, v, strain, each stretched from its smallest to its largest value.

    field: [H, W, 2]; stretched: [H, W] strain.
    """
    layers = cv2.resize(np.dstack([field, stretched]), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    low, high = layers.min((0, 1)), layers.max((0, 1))
    return np.asarray(np.rint((layers - low) / np.maximum(high - low, 1e-12) * 255), np.uint8)


def draw_borders(rng: np.random.Generator) -> Borders:
    """Every border by itself: forehead or brow, below lip or chin, cheek or ear."""
    names = ("top", "bottom", "right", "left")
    return Borders(*(float(rng.uniform(getattr(TIGHTEST, name), getattr(LOOSEST, name))) for name in names))


def measure(
    rng: np.random.Generator,
    still: Still,
    mover: Mover,
    strength: tracks.Strengths,
    algorithms: Sequence[Algorithm],
    emotion: str | None = None,
) -> tuple[list[Image], Drawn]:
    """Two pictures at the face's resolution, and an image that each algorithm measures on them within other borders."""
    window = timing.draw(rng, measured.TIMING, BEGUN, emotion)
    at_apex = timing.Window(window.expression, window.onset_s, window.apex_s, np.array([window.apex_s]))
    shown, (onset, apex) = measured.scene(rng, still, mover, at_apex, strength)
    unit = shown.plate.eye_distance
    first, last = shown.landmarks(onset), shown.landmarks(apex)
    if rng.random() >= ALIGNED:
        last = first
    first, last = (points + rng.normal(0, measured.JITTER, (478, 2)).astype(np.float32) * unit
                   for points in (first, last))  # fmt: skip
    start, end = shown.frame(onset), shown.frame(apex)
    images = []
    for algorithm in algorithms:
        borders = draw_borders(rng)
        field = flow(algorithm)(_cut(start, first, borders, unit), _cut(end, last, borders, unit))
        images.append(quantise(field, strain(field)))
    return images, window.expression.drawn


def measured_clips(
    rng: np.random.Generator, count: int, still: Still, mover: Mover, style: Style, strength: tracks.Strengths
) -> Clips:
    """`count` images of one face, by all algorithms, as `clips` makes them of images."""
    images: list[Image] = []
    drawn: list[Drawn] = []
    while len(images) < count:
        made, one = measure(rng, still, mover, strength, ALGORITHMS)
        images += made
        drawn += [one] * len(made)
    return clips(rng, images[:count], drawn[:count], [still.identity] * count, style)


def direct(
    rng: np.random.Generator, count: int, style: Style, corruption: Corruption = HARDER
) -> tuple[list[Image], list[Drawn]]:
    """`count` images straight from AU fields."""
    canvas = face()
    windows = [timing.draw(rng, corruption.timing, corruption.begun) for _ in range(count)]
    field = np.stack(
        [canvas.muscles(rng, window, np.array([window.apex_s]), style, corruption) for window in windows]
    )  # [B, 1, 2, side, side]
    peak = np.maximum(np.abs(field).max((1, 2, 3, 4)), 0.002)
    for i in np.flatnonzero(rng.random(count) < corruption.lids):
        field[i] += canvas.lids(rng, 1)
    for i in np.flatnonzero(rng.random(count) < corruption.stray):
        field[i] += canvas.stray(rng) * np.float32(peak[i])
    field += canvas.noise(rng, peak, 1, corruption)
    _, turn = canvas.head(rng, count, 1, corruption)
    size = peak * rng.uniform(0, corruption.residue, count) ** 2
    rigid = (size[:, None] * rng.normal(0, 0.5, (count, 4))).astype(np.float32)
    largest = np.maximum(np.abs(turn).max((1, 2, 3, 4)), 1e-9)
    field += (rigid @ canvas.similarities.reshape(4, -1)).reshape(field.shape)
    field += turn * (size * rng.uniform(0, 1, count) / largest).astype(np.float32)[:, None, None, None, None]
    images = [_crop(canvas, field[i, 0], draw_borders(rng)) for i in range(count)]
    return images, [window.expression.drawn for window in windows]


def clips(rng: np.random.Generator, images: Sequence[Image], drawn: Sequence[Drawn], identity: Sequence[str],
          style: str) -> Clips:  # fmt: skip
    """As the recognizer reads such images: K = 1 at time 0, magnitude unknown, ROIs jittered."""
    tensors = [tensor_of(image, jitter=rng.normal(0, ROI_JITTER, (len(ROIS), 2)).astype(np.float32))
               for image in images]  # fmt: skip
    motion, seen = (np.stack([getattr(tensor, name) for tensor in tensors]) for name in ("data", "seen"))
    still = np.zeros((len(images), 1), np.float32)
    return Clips.make(motion, still, seen, still == 0, drawn, identity, style, magnitude_known=False)


def write(
    root: Path,
    stills: Sequence[Still],
    per_face: int,
    style: Style,
    seed: int,
    strength: tracks.Strengths,
    algorithms: Sequence[Algorithm] = ALGORITHMS,
    train: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Writes `<root>/<subject>/{u_train,u_test}/{0,1,2}/*.png` and the AUs of each image to `<root>/aus.csv`; returns
    how many images u_test holds. Classes in turn. train: whether to write u_train, links to the other subjects'
    u_test."""
    made: list[tuple[Path, str]] = []
    for number, still in enumerate(stills):
        mover = mover_of(still, style)
        for i in range(per_face):
            rng = np.random.default_rng([seed, number, i])
            label = i % len(EMOTIONS)
            [image], drawn = measure(
                rng, still, mover, strength, [algorithms[int(rng.integers(len(algorithms)))]], EMOTIONS[label]
            )
            path = Path(f"gen{still.identity}", "u_test", str(label), f"{style} {seed} {i:03d}.png")
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / path), image[:, :, ::-1])  # written as BGR
            made.append((path, "+".join(au.removeprefix("AU") for au in drawn.aus)))
            progress(1)
    with (root / "aus.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "aus"), *((path.as_posix(), aus) for path, aus in made)])
    if train:
        _link(root, [path for path, _ in made])
    return len(made)


@cache
def face() -> Canvas:
    """All of the face that an image can show."""
    return Canvas((-1.17, -0.85), 0.046, 52)


def _crop(canvas: Canvas, field: Single, borders: Borders) -> Image:
    """field: [2, side, side]."""
    layers = np.concatenate([field, canvas.strain(field)[None]]).transpose(1, 2, 0)
    steps = (np.arange(SIZE) + 0.5) / SIZE
    x = (-borders.right + steps * (borders.right + borders.left) - canvas.origin[0]) / canvas.pitch
    y = (-borders.top + steps * (borders.top + borders.bottom) - canvas.origin[1]) / canvas.pitch
    places = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
    shown = sample(np.ascontiguousarray(layers), places)
    return quantise(shown[..., :2], shown[..., 2])


def _cut(picture: Image, points: Single, borders: Borders, unit: float) -> Image:
    """Grey, upright, as large as it is in the picture."""
    _, to_picture = to_face(points)
    turn: Array = to_picture[:, :2] / unit  # a pixel of the crop is a pixel of the picture
    corner = to_picture @ np.array([-borders.right, -borders.top, 1])
    size = (round((borders.right + borders.left) * unit), round((borders.top + borders.bottom) * unit))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.warpAffine(grey, np.column_stack([turn, corner]), size, flags=cv2.INTER_LINEAR
                                     | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE), np.uint8)  # fmt: skip


def _link(root: Path, paths: Sequence[Path]) -> None:
    for subject in {path.parts[0] for path in paths}:
        for path in paths:
            if path.parts[0] != subject:
                copy = root / subject / "u_train" / path.parts[2] / f"{path.parts[0]} {path.name}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.unlink(missing_ok=True)
                copy.hardlink_to(root / path)
