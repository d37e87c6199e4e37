"""When a window begins, peaks and which of its frames are seen: the truth, moved as a spotter is wrong."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.lab.synth.scene import Expression, draw_expression
from services.motion.aus import AU_INDEX
from services.spotter.select import select

Array = NDArray[np.float64]

FRAMES: Final = 8
"""K, selected frames of a window."""
FPS: Final = (25, 30, 50, 60, 100, 200)
MACRO_SHARE: Final = 0.3
MICRO_STRENGTH: Final = (0.05, 0.6)
MACRO_STRENGTH: Final = (0.1, 1.0)
"""Lowest and highest intensity."""
BEGUN: Final = (0.2, 0.6)
"""How far into its rise an expression is that had begun before the onset of its window."""


@dataclass(frozen=True)
class Window:
    """expression: what is in it, which starts at 0; onset_s: of the window; seconds: [k] of the selected frames,
    ascending; apex_s: of the window."""

    expression: Expression
    onset_s: float
    apex_s: float
    seconds: Array


def draw(rng: np.random.Generator, off: float, begun: float, emotion: str | None = None) -> Window:
    """One window. off: onset, apex and offset are wrong by up to this part of the rise; begun: share whose expression
    had begun before."""
    macro = rng.random() < MACRO_SHARE
    expression = draw_expression(
        rng, "macro" if macro else "micro", 0.0, MACRO_STRENGTH if macro else MICRO_STRENGTH, emotion
    )
    path, fps = expression.course, FPS[rng.integers(len(FPS))]
    wrong = rng.uniform(-off, off, 3) * path.rise_s
    onset = path.rise_s * rng.uniform(*BEGUN) if rng.random() < begun else wrong[0]
    apex = path.rise_s + rng.uniform(0, path.hold_s) + wrong[1]
    offset = max(path.whole_s + wrong[2], apex + 1 / fps, onset + 3 / fps)
    times = np.arange(onset, offset, 1 / fps)[1:]  # nothing moves from the onset to itself
    at = int(np.abs(times - apex).argmin())
    used = [AU_INDEX[au] for au in expression.drawn.aus]
    size = np.linalg.norm(expression.at(times)[:, used] - expression.at(np.array([onset]))[:, used], axis=(1, 2))
    chosen = select(size, at, FRAMES)
    return Window(expression, float(onset), float(times[at]), times[chosen])
