"""One face over time: expressions, what disturbs them, and the camera; any frame of it can be had by number."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.lab.synth import combos, course
from services.lab.synth.camera import Camera
from services.lab.synth.faces import Still
from services.lab.synth.muscles import person
from services.lab.synth.render import Picture, Plate, sheets_of
from services.lab.synth.sheets import Sheets
from services.lab.synth.styles import Style, fields
from services.lab.synth.tracks import Tracks
from services.motion.aus import AU_INDEX, AUS

Array = NDArray[np.float64]
Single = NDArray[np.float32]

VISIBLE_PX: Final = 0.08
"""An expression that moves nothing by more is left out of a frame: eight bits would not show it."""
LAG: Final = 0.06
"""Standard deviation of how much sooner or later than the others one AU acts, as a share of the rise."""
ONE_SIDED: Final = 2.0
"""From which ratio of intensities on an AU is labelled with its stronger side."""


class Mover:
    """A face's skin in one motion style: coefficients of AUs and lids to fields. person: as in `fields`. Splines are
    spread when first needed."""

    def __init__(self, sheets: Sheets, style: Style, person: int = 0) -> None:
        self.sheets = sheets
        self._aus = fields(style, person)
        self._closed = sheets.closed()
        self._spread: dict[tuple[int, int], Single] = {}

    def __call__(self, aus: Array, blink: Array) -> Single | None:
        """aus: [A, 2]; blink: [2]. None when nothing moves."""
        terms = [(float(weight), key) for key, weight in np.ndenumerate(aus) if weight]
        terms += [(float(weight), (len(AUS), side)) for side, weight in enumerate(blink) if weight]
        if not terms:
            return None
        return np.asarray(sum(weight * self._field(key[0], key[1]) for weight, key in terms), np.float32)

    def landmarks(self, aus: Array, blink: Array) -> Array:
        """[478, 2] displacement of the landmarks, outer-eye distances."""
        return np.asarray(np.tensordot(aus, self._aus, 2) + np.tensordot(blink, self._closed, 1))

    def reach(self, aus: Array) -> Array:
        """As `reach`."""
        return reach(aus, self._aus)

    def _field(self, which: int, side: int) -> Single:
        if (which, side) not in self._spread:
            moved = self._closed[side] if which == len(AUS) else self._aus[which, side]
            self._spread[which, side] = self.sheets.spread(moved)
        return self._spread[which, side]


def reach(aus: Array, moves: Array) -> Array:
    """Largest displacement of a landmark for each of [n, A, 2], outer-eye distances. moves: [A, 2, 478, 2] of each
    action unit's sides."""
    used = np.flatnonzero(aus.any((0, 2)))
    moved = np.tensordot(aus[:, used], moves[used], 2)
    return np.asarray(np.linalg.norm(moved, axis=-1).max(-1))


def mover_of(still: Still, style: Style) -> Mover:
    """Of a face, which has muscles of its own."""
    return Mover(sheets_of(still), style, person(still.identity))


@dataclass(frozen=True)
class Expression:
    """One expression in a scene. start_s: of its first motion; lags: [A] seconds, of each AU."""

    kind: course.Kind
    drawn: combos.Drawn
    course: course.Course
    start_s: float
    lags: Array

    def at(self, times: Array) -> Array:
        """[n, A, 2] coefficients of AUs."""
        come = self.course(times[:, None] - self.start_s - self.lags)  # [n, A]
        return np.asarray(come[..., None] * self.drawn.intensity)

    def shifted(self, seconds: float) -> "Expression":
        """The same, later."""
        return replace(self, start_s=self.start_s + seconds)


def draw_expression(
    rng: np.random.Generator,
    kind: course.Kind,
    start_s: float,
    strength: tuple[float, float],
    emotion: str | None = None,
) -> Expression:
    """An expression that starts then; strength: lowest and highest intensity; emotion: else drawn."""
    drawn, path = combos.draw(rng, strength, emotion=emotion), course.draw(rng, kind)
    lags = np.clip(rng.normal(0, LAG, len(AUS)), -2 * LAG, 2 * LAG) * path.rise_s
    used = [AU_INDEX[au] for au in drawn.aus]
    return Expression(kind, drawn, path, start_s, lags - lags[used].min())


class Scene:
    """A face in front of a camera. Frame i is at i / fps seconds."""

    def __init__(self, plate: Plate, mover: Mover, tracks: Tracks, expressions: list[Expression], fps: float) -> None:
        self.plate, self.mover, self.tracks, self.fps = plate, mover, tracks, fps
        self.times = np.arange(len(tracks.head)) / fps
        self._camera = Camera(plate, tracks)
        self._aus = np.zeros((len(self.times), len(AUS), 2))
        self.labels: list[dict[str, Any]] = []
        for expression in expressions:
            own = expression.at(self.times)
            size = mover.reach(own) * plate.eye_distance
            shown = np.flatnonzero(size > VISIBLE_PX)
            if len(shown):
                self._aus[shown[0] : shown[-1] + 1] += own[shown[0] : shown[-1] + 1]
                self.labels.append(label(expression, int(shown[0]), int(size.argmax()), int(shown[-1])))

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, i: int) -> Picture:
        """[H, W, 3] uint8 BGR, as the camera delivers it."""
        return self._camera(i, self.face(i))

    def face(self, i: int) -> Picture:
        """The same before light and camera."""
        tracks = self.tracks
        moved = self.mover(self._aus[i] + tracks.speech[i], tracks.blink[i])
        return self.plate(moved, tracks.head[i], tracks.gaze[i])

    def landmarks(self, i: int) -> Single:
        """[478, 2] true landmarks, frame pixels."""
        moved = self.mover.landmarks(self._aus[i] + self.tracks.speech[i], self.tracks.blink[i])
        return self.plate.landmarks(moved, self.tracks.head[i])


def label(expression: Expression, onset: int, apex: int, offset: int) -> dict[str, Any]:
    """As in the label file. onset, apex, offset: frame numbers; intensity: of the stronger side."""
    aus = []
    for au in expression.drawn.aus:
        left, right = expression.drawn.intensity[AU_INDEX[au]]
        side = "left" if left >= ONE_SIDED * right else "right" if right >= ONE_SIDED * left else "both"
        aus.append({"au": au, "side": side, "intensity": round(float(max(left, right)), 4)})
    return {"kind": expression.kind, "onset": onset, "apex": apex, "offset": offset,
            "emotion": expression.drawn.emotion, "aus": aus}  # fmt: skip
