"""From a moved face to what a camera delivers: occlusion, light, blur, sensor noise, compression."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.lab.synth.render import Picture, Plate
from services.lab.synth.tracks import Occluder, Tracks

Single = NDArray[np.float32]

_LIGHT_STEP: Final = 8
"""Light changes slowly across a frame: it is computed at every eighth pixel."""
_NOISE_MARGIN: Final = 64
"""A frame's noise is a random cut of one larger field, which costs less than fresh numbers."""


class Camera:
    """What tracks say happens between face and file."""

    def __init__(self, plate: Plate, tracks: Tracks) -> None:
        self._tracks, self._plate = tracks, plate
        width, height = plate.size
        rng = np.random.default_rng(tracks.seed)
        self._noise = None
        if tracks.noise > 0:
            shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
            grain = rng.standard_normal(shape, np.float32)
            grain[..., :] = (
                0.6 * grain + 0.8 * grain[..., :1]
            )  # mostly in brightness, as after a camera's own denoising
            self._noise = np.rint(tracks.noise * grain * _FINE).astype(np.int16)
        self._noise_at = rng.integers(0, _NOISE_MARGIN, (len(tracks.head), 2))
        self._hand = _hand(tracks.occluder, plate) if tracks.occluder else None
        y, x = np.mgrid[0:height:_LIGHT_STEP, 0:width:_LIGHT_STEP]
        self._where = np.stack([x / width - 0.5, (y - height / 2) / width], -1)

    def __call__(self, i: int, picture: Picture) -> Picture:
        """Frame i, [H, W, 3] uint8."""
        tracks = self._tracks
        if self._hand is not None:
            picture = self._occlude(i, picture)
        if tracks.gain[i] != 1 or tracks.slope[i].any() or tracks.shadow is not None:
            light = cv2.resize(self._light(i), self._plate.size, interpolation=cv2.INTER_LINEAR)
            picture = np.asarray(cv2.multiply(picture, cv2.merge([light] * 3), dtype=cv2.CV_8U), np.uint8)
        if tracks.blur[i] > 0.1:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), tracks.blur[i]), np.uint8)
        if self._noise is not None:
            y, x = self._noise_at[i]
            grain = self._noise[y : y + picture.shape[0], x : x + picture.shape[1]]
            picture = np.asarray(cv2.addWeighted(picture, 1, grain, 1 / _FINE, 0, dtype=cv2.CV_8U), np.uint8)
        if tracks.quality is not None:
            coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, tracks.quality])[1]
            picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        return picture

    def _light(self, i: int) -> Single:
        tracks = self._tracks
        light = tracks.gain[i] * (1 + self._where @ tracks.slope[i])
        if (shadow := tracks.shadow) is not None:
            along = self._where @ (np.cos(shadow.angle), np.sin(shadow.angle)) - shadow.at[i]
            light = light * (1 - shadow.depth / (1 + np.exp(-along / shadow.soft * 4)))
        return np.asarray(light, np.float32)

    def _occlude(self, i: int, picture: Picture) -> Picture:
        occluder = self._tracks.occluder
        assert occluder is not None and self._hand is not None
        at = self._plate.to_frame @ np.array([*occluder.at[i], 1])
        hand, alpha = self._hand
        size = np.array(hand.shape[1::-1])
        low = np.rint(at - size / 2).astype(int)
        first, last = np.maximum(low, 0), np.minimum(low + size, self._plate.size)
        if (last <= first).any():
            return picture
        here = slice(first[1], last[1]), slice(first[0], last[0])
        part = slice(first[1] - low[1], last[1] - low[1]), slice(first[0] - low[0], last[0] - low[0])
        picture = picture.copy()
        share = alpha[part][..., None]
        picture[here] = (picture[here] * (1 - share) + hand[part] * share + 0.5).astype(np.uint8)
        return picture


_FINE: Final = 16
"""Noise is kept in this part of a grey level."""


def _hand(occluder: Occluder, plate: Plate) -> tuple[Single, Single]:
    """Colours [h, w, 3] and opacity [h, w] of something of the colour of this face's cheeks, with a little texture."""
    unit = plate.eye_distance
    half = np.ceil(max(occluder.size) * unit * 1.15).astype(int)
    y, x = np.mgrid[-half : half + 1, -half : half + 1] / unit
    c, s = np.cos(occluder.angle), np.sin(occluder.angle)
    radius = np.hypot((c * x + s * y) / occluder.size[0], (c * y - s * x) / occluder.size[1])
    alpha = np.clip((1 - radius) * min(occluder.size) * unit / 2, 0, 1).astype(np.float32)
    cheek = plate.landmarks()[[50, 280]].mean(0).astype(int).clip(0, np.array(plate.size) - 1)
    skin = plate.picture[max(cheek[1] - 3, 0) : cheek[1] + 4].mean((0, 1)) * 0.5 + np.array([70, 90, 120])
    rng = np.random.default_rng(occluder.seed)
    texture = cv2.GaussianBlur(rng.standard_normal(x.shape).astype(np.float32), (0, 0), 1.5) * 12
    shade = 1.05 - 0.35 * radius**2
    return ((skin + texture[..., None]) * shade[..., None]).clip(0, 255).astype(np.float32), alpha
