"""Pictures of a still face that moves: every displacement is composed into one map, and the still sampled once.

What is seen at a pixel is found backwards: undo the head, then on each sheet of skin undo the face's own motion. Where
neither lid covers it, the eye is seen, which does not move with the skin; between the lips, the mouth's inside.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.lab.synth.faces import Still
from services.lab.synth.mesh import canonical
from services.lab.synth.sampling import sample
from services.lab.synth.sheets import LOW, SHAPE, STEP, Sheets, lookup, to_face

Array = NDArray[np.float64]
Single = NDArray[np.float32]
Picture = NDArray[np.uint8]

STILL_HEAD: Final = np.zeros(6)
"""A head that does not move: shift x, y (outer-eye distances), zoom (ratio less 1), roll, yaw, pitch (radians)."""

STILL_EYES: Final = np.zeros(2)

_ROUNDS: Final = 4
"""Rounds of the fixed point that turns a motion round; each leaves a fraction of the error as large as the field's
slope."""
_BELOW_EYES: Final = 0.4
"""Parts the eyes from the mouth, in the face's coordinates."""
_NOWHERE: Final = (slice(0), slice(0))
_MOUTH_BGR: Final = np.array([38, 28, 62], np.float32)
"""Colour deep in the mouth."""
_BOX: Final = (LOW, LOW + STEP * (np.array(SHAPE[::-1]) - 1))
"""Corners of the grid, in the face's coordinates."""


class Plate:
    """One face, placed in a frame of a given size.

    height, width: of the frame, pixels; eye_distance: of the face in it; centre: of the eyes, (x, y) pixels.
    """

    def __init__(
        self, still: Still, sheets: Sheets, size: tuple[int, int], eye_distance: float, centre: tuple[float, float]
    ) -> None:
        """still and its sheets: see `sheets_of`; size: (width, height)."""
        _, to_still = to_face(still.points)
        turn = float(np.arctan2(to_still[1, 0], to_still[0, 0]))
        scale = eye_distance / still.eye_distance
        linear = scale * np.eye(2)
        self.to_frame = np.column_stack([linear @ to_still[:, :2], centre])  # from the face's coordinates
        place = np.column_stack([linear, np.array(centre) - linear @ to_still[:, 2]])  # from the still
        self.picture = _put(still.picture, place, size)
        self.sheets, self.size, self.eye_distance, self.roll = sheets, size, eye_distance, turn
        self._from_frame = cv2.invertAffineTransform(self.to_frame)
        self._box = self._face_box()
        self._grid_of_frame = self._face_coordinates(*self._frame_grid())
        face = lookup(sheets.face, self._grid_of_frame, cv2.BORDER_CONSTANT)
        self._near = _bounds_of(face > 0)  # nothing else goes along with the head
        self._face = cv2.merge([face[self._near]] * 2)
        self._cuts = np.dstack(sheets.cuts(self._grid_of_frame[self._box].astype(np.float64)))
        self._holes = self._fill_holes()

    def __call__(self, moved: Single | None, head: Array = STILL_HEAD, gaze: Array = STILL_EYES) -> Picture:
        """One picture, [H, W, 3] uint8 BGR.

        moved: [3, rows, columns, 2] from `Sheets.spread`, None for a face at rest; head: as STILL_HEAD; gaze: [2],
        motion of the eyeballs' surface, outer-eye distances. A face at rest is the plate itself, bit for bit."""
        if moved is None and not gaze.any() and not head.any():
            return self.picture
        at = self._grid_of_frame
        if head.any():
            at = at.copy()
            at[self._near] = self._undo_head(at[self._near], head)
        box = self._box if moved is not None or gaze.any() else _NOWHERE
        place, hole = self._skin(at[box], moved) if at[box].size else (at[box], None)
        if not head.any():  # nothing moves outside the box
            picture = self.picture.copy()
            picture[box] = self._sample(self.picture, self._pixels(place))
        else:
            picture = self.picture.copy()
            picture[self._near] = self._sample(self.picture, self._pixels(at[self._near]), cv2.INTER_LINEAR)
            source = self._pixels(at[self._box])
            if hole is not None:
                source = self._pixels(place)
            picture[self._box] = self._sample(self.picture, source)
        if hole is not None:
            self._show_holes(picture[box], at[box], hole, gaze)
        return picture

    def landmarks(self, moved: Array | None = None, head: Array = STILL_HEAD) -> Single:
        """[478, 2] true landmarks in frame pixels, the face's own displaced by `moved` [478, 2], the head by `head`."""
        x, y, zoom, roll, yaw, pitch = head
        points = self.sheets.points if moved is None else self.sheets.points + moved
        depth = canonical()[:, 2:]
        points = points * (np.cos(yaw), np.cos(pitch)) + depth * (np.sin(yaw), np.sin(pitch))
        c, s = np.cos(roll) * (1 + zoom), np.sin(roll) * (1 + zoom)
        points = points @ np.array([[c, -s], [s, c]]).T + (x, y)
        return np.asarray(points @ self.to_frame[:, :2].T + self.to_frame[:, 2], np.float32)

    def _skin(self, at: Single, moved: Single | None) -> tuple[Single, Single]:
        """Where at rest the skin was that is seen at places [h, w, 2] of the head, and how much of a hole is there."""
        sheets = [at, at, at]
        if moved is not None:
            shift = lookup(np.concatenate([invert(field) for field in moved], -1), at)
            sheets = [at + shift[..., 2 * i : 2 * i + 2] for i in range(3)]
        top, middle, bottom = sheets
        over, under = self._cut(top, 0), self._cut(bottom, 3)
        lower = self._cut(middle, (1, 2, 4))
        hole = ((1 - over) * lower[..., 0] + lower[..., 1] * (1 - under)) * lower[..., 2]
        return middle + over[..., None] * (top - middle) + under[..., None] * (bottom - middle), hole

    def _show_holes(self, picture: Picture, at: Single, hole: Single, gaze: Array) -> None:
        """Put eyes and mouth into a picture of skin, in place; only where there are any."""
        rows, columns = np.flatnonzero(hole.max(1) > 0.004), np.flatnonzero(hole.max(0) > 0.004)
        if not len(rows):
            return
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        behind = at[part].copy()
        behind[behind[..., 1] < _BELOW_EYES] -= gaze.astype(np.float32)
        share = hole[part][..., None]
        shown = self._sample(self._holes, self._pixels(behind), cv2.INTER_CUBIC)
        picture[part] = (picture[part] * (1 - share) + shown * share + 0.5).astype(np.uint8)

    def _cut(self, at: Single, which: int | tuple[int, ...]) -> Single:
        """A cut, or several, evaluated at places of the face at rest."""
        y, x = self._box
        pixels = self._pixels(at) - np.array([x.start, y.start], np.float32)
        layers = np.ascontiguousarray(self._cuts[..., which])
        return sample(layers, pixels)

    def _undo_head(self, seen: Single, head: Array) -> Single:
        """Where on the head at rest lies what is seen at [h, w, 2], places of `_near`, when it has moved."""
        x, y, zoom, roll, yaw, pitch = head
        c, s = np.cos(roll) / (1 + zoom), np.sin(roll) / (1 + zoom)
        back = np.array([[c, s], [-s, c]]) / np.array([[np.cos(yaw)], [np.cos(pitch)]])
        target = affine(seen, np.column_stack([back, -back @ (x, y)]))
        at = target
        for _ in range(2):
            depth = lookup(self.sheets.depth, at)
            at = target - cv2.merge([depth * np.float32(np.tan(yaw)), depth * np.float32(np.tan(pitch))])
        return np.asarray(seen + self._face * (at - seen))

    def _frame_grid(self) -> tuple[Single, Single]:
        x = np.arange(self.size[0], dtype=np.float32)
        y = np.arange(self.size[1], dtype=np.float32)
        return np.meshgrid(x, y)[0], np.meshgrid(x, y)[1]

    def _face_coordinates(self, x: Single, y: Single) -> Single:
        m = self._from_frame.astype(np.float32)
        return np.stack([m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], -1)

    def _pixels(self, at: Single) -> Single:
        return affine(at, self.to_frame) if at.size else at

    def _face_box(self) -> tuple[slice, slice]:
        """Rows and columns of the frame in which the face can move."""
        corners = np.array([[x, y] for x in (_BOX[0][0], _BOX[1][0]) for y in (_BOX[0][1], _BOX[1][1])])
        pixels = self._pixels(corners[None].astype(np.float32))[0]
        low, high = np.floor(pixels.min(0)).astype(int), np.ceil(pixels.max(0)).astype(int)
        width, height = self.size
        return slice(max(low[1], 0), min(high[1], height)), slice(max(low[0], 0), min(high[0], width))

    def _fill_holes(self) -> Picture:
        """The plate with eyes and mouth continued outwards under lids and lips, a little darker there."""
        over, above, below, under, inside = (self._cuts[..., i] for i in range(5))
        hole = np.maximum((1 - over) * above, below * (1 - under)) * inside > 0.6
        filled = self.picture.copy()
        if hole.any():
            distance, nearest = cv2.distanceTransformWithLabels(
                (~hole).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
            )
            colours = np.zeros((nearest.max() + 1, 3), np.float32)
            box = filled[self._box].astype(np.float32)
            colours[nearest[hole]] = box[hole]
            dark = np.exp(-distance / (0.10 * self.eye_distance))[..., None]
            spread = cv2.GaussianBlur(colours[nearest] * dark + _MOUTH_BGR * (1 - dark), (0, 0), 1.0)
            filled[self._box] = np.where(hole[..., None], box, spread).astype(np.uint8)
        return filled

    @staticmethod
    def _sample(picture: Picture, pixels: Single, how: int = cv2.INTER_LANCZOS4) -> Picture:
        return sample(picture, pixels, how)


def _put(still: Picture, place: Array, size: tuple[int, int]) -> Picture:
    """The still in a frame. What lies beyond it continues its border, blurred: mirrored, it would be taken for more
    faces. place: [2, 3] affine from still to frame; size: (width, height)."""
    picture: Any = still
    scale = place[0, 0]
    if scale < 1:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1) + 1e-3)
    inside = cv2.warpAffine(np.full(still.shape[:2], 255, np.uint8), place, size, flags=cv2.INTER_NEAREST)
    frame = cv2.warpAffine(picture, place, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    beyond = cv2.GaussianBlur(frame, (0, 0), 15)
    return np.where(inside[..., None] > 0, frame, beyond).astype(np.uint8)


def _bounds_of(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold all of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def affine(at: Single, matrix: Array) -> Single:
    """Places [h, w, 2] under a [2, 3] affine; a tenth of what NumPy takes for so short a product."""
    return np.asarray(cv2.transform(at, matrix), np.float32)


def invert(field: Single) -> Single:
    """[rows, columns, 2]: what takes a place after the motion back to where it was before."""
    grid = np.stack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0])), -1).astype(np.float32)
    back = -field
    for _ in range(_ROUNDS):
        back = -sample(field, grid + back / np.float32(STEP))
    return back


def sheets_of(still: Still) -> Sheets:
    """The skin of a still; half a second of work, once a face."""
    return Sheets(to_face(still.points)[0])
