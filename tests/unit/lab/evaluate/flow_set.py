"""A made set of flow images in which the class can be seen, in the layout of the real ones."""

from pathlib import Path

import cv2
import numpy as np

from services.motion.flow_image import BORDERS, CANONICAL_CENTRES

MOVES = {0: ("brow_inner", 1.0), 1: ("lip_corner", -1.0), 2: ("brow_outer", -1.0)}
"""For each class what moves on both sides, and whether down or up."""


def write_image(path: Path, kind: int, seed: int, noise: float = 0.2) -> None:
    rng = np.random.default_rng(seed)
    layers = cv2.GaussianBlur(rng.normal(0, noise * 4, (28, 28, 3)), (0, 0), 1.5)
    stem, down = MOVES[kind]
    x, y = CANONICAL_CENTRES[stem]
    width, height = BORDERS.right + BORDERS.left, BORDERS.top + BORDERS.bottom
    rows, columns = np.mgrid[:28, :28]
    for side in (-1, 1):
        column, row = (BORDERS.right + side * x) / width * 28, (BORDERS.top + y) / height * 28
        layers[:, :, 1] += down * np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / 8)
    low, high = layers.min((0, 1)), layers.max((0, 1))
    stored = np.rint((layers - low) / (high - low) * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), stored[:, :, ::-1])


def write_set(root: Path, subjects: int = 5, each: int = 2, noise: float = 0.2) -> Path:
    """`each` pictures of every class for each subject."""
    for subject in range(1, subjects + 1):
        for kind in range(3):
            for n in range(each):
                file = root / f"sub{subject:02d}/u_test/{kind}/EP {n}.png"
                write_image(file, kind, seed=subject * 100 + kind * 10 + n, noise=noise)
    return root
