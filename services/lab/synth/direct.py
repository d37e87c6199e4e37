"""Labelled motion made straight from AU fields on the canonical crop, many a millisecond of work, and corrupted hard.

Each clip goes the way that the spotter's windows go: a field from the (possibly wrong) onset to each selected frame,
the head fitted and removed, patches cut. What a real face and a real flow algorithm add on the way is drawn at random:
where exactly each AU acts and how strongly, a head that moves in depth, lids and eyes, smooth errors at several
scales, what head motion the fit leaves, blur."""

from functools import cache
from typing import Final

import numpy as np

from services.lab.synth import timing
from services.lab.synth.batch import Clips, join
from services.lab.synth.canvas import HARD, Array, Canvas, Corruption, Single
from services.lab.synth.mesh import canonical
from services.lab.synth.styles import Style
from services.lab.synth.timing import FRAMES
from services.motion.convention import CROP_PX, EYE_CENTRE, EYE_DISTANCE_PX, STABLE
from services.motion.displacement import DEPTH, RIDGE, ROUNDS, SAMPLE_SIDE, SAMPLES, SCALE_FLOOR, TRUST, design
from services.motion.rois import PATCH, PATCH_SIDE, ROIS, roi_centres

PITCH: Final = PATCH_SIDE / PATCH
"""Of the grid, outer-eye distances: that of the samples of a patch."""
SIDE: Final = int(CROP_PX / EYE_DISTANCE_PX / PITCH) + 1
"""Points along a side of the grid, which covers the crop."""
ROI_JITTER: Final = 0.008
"""Standard deviation of the error of a ROI's centre, outer-eye distances."""

CHUNK: Final = 16
"""Clips made together: what fits a processor's cache."""


def clips(rng: np.random.Generator, count: int, style: Style, corruption: Corruption = HARD) -> Clips:
    """`count` clips. Deterministic by the state of `rng`."""
    chunks = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
    return join([_chunk(rng, size, style, corruption) for size in chunks])


def _chunk(rng: np.random.Generator, count: int, style: Style, corruption: Corruption) -> Clips:
    canvas = crop()
    windows = [timing.draw(rng, corruption.timing, corruption.begun) for _ in range(count)]
    field = np.zeros((count, FRAMES, 2, SIDE, SIDE), np.float32)
    present, times = np.zeros((count, FRAMES), bool), np.zeros((count, FRAMES), np.float32)
    for i, window in enumerate(windows):
        k = len(window.seconds)
        present[i, :k], times[i, :k] = True, window.seconds - window.apex_s
        field[i, :k] = canvas.muscles(rng, window, window.seconds, style, corruption)
    peak = np.maximum(np.abs(field).max((1, 2, 3, 4)), 0.002)  # [B]
    for i, window in enumerate(windows):
        if rng.random() < corruption.lids:
            field[i, : len(window.seconds)] += canvas.lids(rng, len(window.seconds))
    similarity, turn = canvas.head(rng, count, FRAMES, corruption)
    field += canvas.noise(rng, peak, FRAMES, corruption) + turn
    jitter = rng.normal(0, ROI_JITTER, (len(ROIS), 2)) * (corruption.place > 0)
    motion = cut(*remove_head(field, similarity, _residue(rng, peak, corruption)), jitter)
    motion[:, :, :, 2] *= np.exp(rng.uniform(0, corruption.sharpness, count)).astype(np.float32)[
        :, None, None, None, None
    ]
    unseen = rng.random((count, 1, len(ROIS))) < corruption.unseen
    seen = present[..., None] & ~unseen
    motion *= seen[..., None, None, None]
    drawn = [window.expression.drawn for window in windows]
    return Clips.make(motion, times, seen, present, drawn, ["canonical"] * count, style)


def _residue(rng: np.random.Generator, peak: Array, corruption: Corruption) -> Array:
    """[B, K, 6]: head motion that is left after the fit, from none to as large as the expression."""
    count = len(peak)
    size = peak * rng.uniform(0, corruption.residue, count) ** 2 * (rng.random(count) < 0.6)
    towards = rng.normal(0, 0.6, (count, 1, 6)) * np.linspace(0.2, 1, FRAMES)[:, None]
    each = towards + 0.2 * rng.normal(0, 1, (count, FRAMES, 6))
    return np.asarray(size[:, None, None] * each * (0.7, 0.7, 0.6, 0.6, 1.5, 1.5))


def remove_head(field: Single, similarity: Array, residue: Array) -> tuple[Single, Array]:
    """As the spotter does: six numbers fitted robustly to the mean motion of ROIs and stable points.

    field: [B, K, 2, SIDE, SIDE] without the head's similarity, [B, K, 4], which the fit sees as well; residue: [B, K,
    6] error of the fit. Returns the field with what is left of the similarity, in place, and what yaw and pitch add to
    each ROI, [B, K, R, 2], still to be taken off."""
    count, frames = field.shape[:2]
    moved = point_motion(field).reshape(count * frames, -1, 2).astype(np.float64)
    moved += (similarity.reshape(-1, 4) @ _design()[..., :4].reshape(-1, 4).T).reshape(moved.shape)
    head = _head(moved).reshape(count, frames, 6) + residue
    left = (similarity - head[..., :4]).astype(np.float32).reshape(-1, 4) @ crop().similarities.reshape(4, -1)
    field += left.reshape(field.shape)
    return field, DEPTH[: len(ROIS), None] * head[..., None, 4:]


def point_motion(field: Single) -> Single:
    """[..., N, 2] mean motion around each ROI and stable point of fields [..., 2, SIDE, SIDE]."""
    means = field.reshape(-1, SIDE * SIDE) @ _means()
    return np.asarray(np.moveaxis(means.reshape(*field.shape[:-2], -1), -2, -1))


def without_head(moved: Array) -> Array:
    """[n, N, 2] motion of ROIs and stable points, less that of the head which is fitted to it."""
    return np.asarray(moved - (_head(moved) @ _design().reshape(-1, 6).T).reshape(moved.shape))


def _head(moved: Array) -> Array:
    """[n, 6] fitted to the motion [n, N, 2] as services.motion.displacement does, many at once."""
    basis, flat = _design(), _design().reshape(-1, 6)
    gram = np.einsum("nci,ncj->nij", basis, basis).reshape(len(basis), 36)
    weight = np.broadcast_to(TRUST, moved.shape[:2])
    for _ in range(ROUNDS):
        system = (weight @ gram).reshape(-1, 6, 6) + RIDGE
        pulls = (weight[..., None] * moved).reshape(len(moved), -1) @ flat
        head = np.linalg.solve(system, pulls[..., None])[..., 0]
        squared = ((moved - (head @ flat.T).reshape(moved.shape)) ** 2).sum(-1)
        scale = np.maximum(np.partition(squared, squared.shape[1] // 2, 1)[:, squared.shape[1] // 2], SCALE_FLOOR**2)
        weight = TRUST / (1 + squared / (2 * scale[:, None])) ** 2
    return np.asarray(head)


def cut(field: Single, turn: Array, jitter: Array) -> Single:
    """[B, K, R, 3, P, P] of fields [B, K, 2, SIDE, SIDE]; turn: see `remove_head`; jitter: [R, 2] error of the ROIs'
    centres, outer-eye distances."""
    layers = np.empty((*field.shape[:2], 3, SIDE, SIDE), np.float32)
    layers[:, :, :2] = field
    layers[:, :, 2] = crop().strain(field)
    first = (roi_centres(_landmarks()) + jitter - crop().origin) / PITCH - (PATCH - 1) / 2  # [R, 2] grid points
    whole = np.floor(first).astype(int)
    part = (first - whole).astype(np.float32)[:, :, None, None]  # [R, 2, 1, 1]
    steps = np.arange(PATCH + 1)
    rows = (whole[:, 1, None] + steps).clip(0, SIDE - 1)
    columns = (whole[:, 0, None] + steps).clip(0, SIDE - 1)
    block = layers.reshape(-1, 3, SIDE * SIDE).take(rows[:, :, None] * SIDE + columns[:, None, :], 2)
    block = block[..., :-1] + part[:, 0] * (block[..., 1:] - block[..., :-1])
    block = block[..., :-1, :] + part[:, 1] * (block[..., 1:, :] - block[..., :-1, :])  # [B * K, 3, R, P, P]
    patches = block.transpose(0, 2, 1, 3, 4).reshape(*field.shape[:2], len(ROIS), 3, PATCH, PATCH)
    patches[:, :, :, :2] -= turn[..., None, None].astype(np.float32)
    return np.asarray(patches)


@cache
def _design() -> Array:
    """[N, 2, 6]"""
    return design(_fit_points())


@cache
def crop() -> Canvas:
    """The canonical crop."""
    x, y = EYE_CENTRE
    return Canvas((-x / EYE_DISTANCE_PX, -y / EYE_DISTANCE_PX), PITCH, SIDE)


def _landmarks() -> Single:
    return canonical()[:, :2].astype(np.float32)


def _fit_points() -> Array:
    landmarks = _landmarks()
    return np.concatenate([roi_centres(landmarks), landmarks[list(STABLE)]]).astype(np.float64)


@cache
def _means() -> Single:
    """[SIDE^2, N]: weights of the mean over the square around each ROI and stable point."""
    steps = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * SAMPLE_SIDE
    places = _fit_points()[:, None, None] + np.stack(np.meshgrid(steps, steps), -1)
    at = ((places - crop().origin) / PITCH).clip(0, SIDE - 1.001).reshape(len(places), -1, 2)
    weights = np.zeros((len(places), SIDE, SIDE), np.float32)
    low = np.floor(at).astype(int)
    part = at - low
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dx - part[..., 0]) * np.abs(1 - dy - part[..., 1]) / at.shape[1]
            np.add.at(weights, (np.arange(len(places))[:, None], low[..., 1] + dy, low[..., 0] + dx), share)
    return weights.reshape(len(places), -1).T.copy()
