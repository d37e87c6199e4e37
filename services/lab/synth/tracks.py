"""What makes it hard: everything that changes in a picture of a face without being an expression, over time.

Each distractor has a strength: 0 switches it off, 1 is what an interview room shows at its worst; how much of that a
clip gets is drawn, so that easy clips are among them.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.aus import AU_INDEX, AUS

Array = NDArray[np.float64]

DISTRACTORS: Final = (
    "head", "blink", "gaze", "speech", "light", "shadow", "noise", "blur", "compression", "occlusion",
)  # fmt: skip

Strengths = dict[str, float]


def strengths(overall: float = 1.0, off: tuple[str, ...] = ()) -> Strengths:
    """All distractors at one strength, some switched off."""
    return {name: 0.0 if name in off else overall for name in DISTRACTORS}


@dataclass(frozen=True)
class Shadow:
    """The edge of a shadow sweeps over the picture. at: [n] its place along `angle` (radians), frame widths from the
    middle; depth: share of light lost; soft: width of its edge, frame widths."""

    at: Array
    angle: float
    depth: float
    soft: float


@dataclass(frozen=True)
class Occluder:
    """Something of the colour of skin, such as a hand, in front of the face. at: [n, 2] its centre in the face's
    coordinates, far outside when away; size: [2] half axes, outer-eye distances; angle: radians; seed: of its
    texture."""

    at: Array
    size: tuple[float, float]
    angle: float
    seed: int


@dataclass
class Tracks:
    """n frames. head: [n, 6] as render.STILL_HEAD; blink: [n, 2] share of closure, left eye first; gaze: [n, 2]
    outer-eye distances; speech: [n, A, 2] coefficients of AUs; gain: [n] brightness; slope: [n, 2] its change across
    the frame; blur: [n] Gaussian sigma, pixels; noise: grey levels; quality: of JPEG, None for none; codec: of a video
    file."""

    head: Array
    blink: Array
    gaze: Array
    speech: Array
    gain: Array
    slope: Array
    blur: Array
    noise: float = 0.0
    quality: int | None = None
    codec: Literal["MJPG", "mp4v"] = "MJPG"
    shadow: Shadow | None = None
    occluder: Occluder | None = None
    seed: int = field(default=0)


def still(count: int) -> Tracks:
    """Nothing happens."""
    return Tracks(np.zeros((count, 6)), np.zeros((count, 2)), np.zeros((count, 2)), np.zeros((count, len(AUS), 2)),
                  np.ones(count), np.zeros((count, 2)), np.zeros(count))  # fmt: skip


def draw(rng: np.random.Generator, times: Array, strength: Strengths) -> Tracks:
    """The distractors of one clip at `times` ([n], seconds, ascending). Every one has a generator of its own, so
    switching one off leaves the others as they are."""
    own = dict(zip(DISTRACTORS, rng.spawn(len(DISTRACTORS)), strict=True))
    tracks = still(len(times))
    tracks.seed = int(rng.integers(2**31))
    for name in DISTRACTORS:
        if strength.get(name, 0) > 0:
            _DRAW[name](tracks, own[name], times, strength[name] * float(own[name].uniform(0.1, 1)))
    return tracks


def wander(rng: np.random.Generator, times: Array, low_hz: float, high_hz: float, parts: int = 6) -> Array:
    """A smooth random function of time, [n], of about unit standard deviation, frequencies within a band."""
    hz = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz), parts))
    phase = rng.uniform(0, 2 * np.pi, parts)
    return np.asarray(np.sin(2 * np.pi * hz * times[:, None] + phase).sum(1) * np.sqrt(2 / parts))


def moments(rng: np.random.Generator, times: Array, every_s: float) -> Array:
    """Random moments of the clip, on average one in `every_s`."""
    span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    return np.asarray(times[0] + np.sort(rng.uniform(0, span, rng.poisson(span / every_s))))


def pulse(times: Array, start: float, rise: float, hold: float, fall: float) -> Array:
    """0, up to 1 and back."""
    t = np.clip(np.minimum((times - start) / rise, (start + rise + hold + fall - times) / fall), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


_DRIFT: Final = np.array([0.05, 0.04, 0.012, 0.02, 0.05, 0.04])
"""Standard deviation of a restless head's drift, per number of the head."""
_TREMOR: Final = np.array([0.0012, 0.0012, 0.0004, 0.0005, 0.001, 0.001])
_GESTURE: Final = np.array([0.06, 0.06, 0.03, 0.06, 0.16, 0.13])
"""Size of a nod, a turn or a tilt."""


def _head(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    for i in range(6):
        drift = wander(rng, times, 0.05, 0.5)
        tracks.head[:, i] += strength * (_DRIFT[i] * (drift - drift[0]) + _TREMOR[i] * wander(rng, times, 4, 9))
    for start in moments(rng, times, 5.0):
        size = strength * _GESTURE * rng.normal(0, 0.6, 6) * (rng.random(6) < 0.4)
        rise, hold, fall = rng.uniform(0.2, 0.7), rng.uniform(0, 0.8), rng.uniform(0.2, 0.8)
        tracks.head += pulse(times, start, rise, hold, fall)[:, None] * size


def _blink(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    for start in moments(rng, times, 4.0 / max(strength, 0.2)):
        closure = 1.0 if rng.random() < 0.8 else rng.uniform(0.3, 0.9)
        shut = pulse(times, start, rng.uniform(0.06, 0.11), rng.uniform(0, 0.06), rng.uniform(0.1, 0.2))
        both = np.array([1.0, 1.0]) if rng.random() < 0.97 else np.eye(2)[rng.integers(2)]
        tracks.blink = np.maximum(tracks.blink, closure * shut[:, None] * both)


def _gaze(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    at = np.zeros(2)
    for start in moments(rng, times, 1.5 / max(strength, 0.2)):
        to = rng.normal(0, 1, 2) * (0.025, 0.008) * strength * (rng.random() < 0.7)
        share = np.clip((times - start) / 0.04, 0, 1)[:, None]  # a saccade
        tracks.gaze += share * (to - at)
        at = to


def _speech(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    for start in moments(rng, times, 10.0 / max(strength, 0.1)):
        talking = pulse(times, start, 0.2, rng.uniform(0.6, 3.0), 0.3)
        syllables = np.clip(0.5 + 0.6 * wander(rng, times, 3, 7), 0, None)
        for au, size in (("AU26", 0.30), ("AU25", 0.45), ("AU20", 0.20), ("AU23", 0.35), ("AU17", 0.15)):
            own = np.clip(syllables + 0.4 * wander(rng, times, 2, 6), 0, 1.5)
            part = rng.uniform(0.2, 1.0) * size * talking * own * strength
            tracks.speech[:, AU_INDEX[au]] += part[:, None] * rng.uniform(0.85, 1.15, 2)


def _light(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    drift = wander(rng, times, 0.05, 0.4)
    tracks.gain *= 1 + strength * 0.06 * (drift - drift[0])
    tracks.slope += strength * 0.06 * np.stack([wander(rng, times, 0.05, 0.3) for _ in range(2)], 1)
    for start in moments(rng, times, 12.0):
        step = strength * rng.uniform(-0.25, 0.25)
        tracks.gain *= 1 + step * np.clip((times - start) / rng.choice([0.001, 0.1, 0.5]), 0, 1)
    if rng.random() < 0.2:  # lamps that beat with the shutter
        tracks.gain *= 1 + 0.015 * strength * np.sin(2 * np.pi * rng.uniform(0.5, 12) * times)


def _shadow(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    if rng.random() < 0.5:
        at = rng.uniform(-0.3, 0.3) + rng.choice([0.02, 0.1]) * wander(rng, times, 0.05, 0.4)
        tracks.shadow = Shadow(at, rng.uniform(0, 2 * np.pi), 0.45 * strength, rng.uniform(0.02, 0.2))


def _noise(tracks: Tracks, _rng: np.random.Generator, _times: Array, strength: float) -> None:
    tracks.noise = 5.0 * strength**1.5


def _blur(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    tracks.blur += rng.uniform(0, 1.2) * strength if rng.random() < 0.6 else 0
    if rng.random() < 0.3:  # the focus hunts
        for start in moments(rng, times, 15.0):
            tracks.blur += 1.5 * strength * pulse(times, start, 0.3, 0.3, 0.4)


_PREDICTED: Final = 0.5
"""Share of the worst videos whose codec predicts frames from frames (MPEG-4) and so loses small motion; the others
keep each frame as a picture (Motion JPEG)."""


def _compression(tracks: Tracks, rng: np.random.Generator, _times: Array, strength: float) -> None:
    tracks.quality = round(float(rng.uniform(96 - 46 * strength, 97)))
    if rng.random() < strength * _PREDICTED:
        tracks.codec = "mp4v"


def _occlusion(tracks: Tracks, rng: np.random.Generator, times: Array, strength: float) -> None:
    away = np.array([rng.choice([-1.6, 1.6]), 2.2])
    at = np.tile(away, (len(times), 1))
    for start in moments(rng, times, 40.0 / max(strength, 0.05)):
        to = np.array([rng.uniform(-0.5, 0.5), rng.uniform(0.3, 1.2)])
        there = pulse(times, start, rng.uniform(0.25, 0.6), rng.uniform(0.3, 1.5), rng.uniform(0.25, 0.6))
        at += there[:, None] * (to - away)
    if (at != away).any():
        size = (rng.uniform(0.15, 0.3), rng.uniform(0.3, 0.6))
        tracks.occluder = Occluder(at, size, rng.uniform(-0.8, 0.8), int(rng.integers(2**31)))


_DRAW: Final = {
    "head": _head, "blink": _blink, "gaze": _gaze, "speech": _speech, "light": _light, "shadow": _shadow,
    "noise": _noise, "blur": _blur, "compression": _compression, "occlusion": _occlusion,
}  # fmt: skip
