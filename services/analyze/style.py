"""Colours and words that the parts of timeline.png share.

Emotions take the palette of Okabe & Ito, "Color Universal Design" (2008), which people with any colour vision can tell
apart; everything else is ink on paper.
"""

import logging
from collections.abc import Iterable
from typing import Any, Final

from matplotlib import font_manager

PAPER: Final = "#ffffff"
INK: Final = "#1c2733"
FAINT: Final = "#7b8794"
LINE: Final = "#d9dee4"
WARNING: Final = "#fff1cc"
WARNING_EDGE: Final = "#e0b84c"

_KNOWN: Final = {
    "negative": "#D55E00",
    "positive": "#009E73",
    "surprise": "#0072B2",
    "happiness": "#009E73",
    "disgust": "#CC79A7",
    "repression": "#E69F00",
    "sadness": "#56B4E9",
    "fear": "#E69F00",
    "anger": "#D55E00",
    "others": "#6b6b6b",
    "other": "#6b6b6b",
}
_SPARE: Final = ("#E69F00", "#56B4E9", "#CC79A7", "#0072B2", "#D55E00", "#009E73", "#6b6b6b")

# A name may be in any script: families that are installed follow the one that ships with matplotlib.
_FAMILIES: Final = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Droid Sans Fallback", "Arial")


def settings() -> dict[Any, Any]:
    """matplotlib's rcParams for the picture; for `matplotlib.rc_context`."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    return {
        "font.family": [name for name in _FAMILIES if name in installed],
        "font.size": 9.5,
        "text.color": INK,
        "text.parse_math": False,  # a "$" in the name of a file is a "$"
        "axes.labelcolor": INK,
        "axes.edgecolor": LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "hatch.linewidth": 0.8,
        "axes.unicode_minus": False,
    }


def emotion_colours(labels: Iterable[str]) -> dict[str, str]:
    """Label to colour, in order of first appearance; a known emotion has the same colour in every picture."""
    spare = iter(_SPARE * 8)
    colours: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        colours[label] = _KNOWN.get(label.lower()) or next(
            (colour for colour in spare if colour not in colours.values()), INK
        )
    return colours


def clock(seconds: float, digits: int = 0) -> str:
    """A time as a media player shows it: 3:07, 1:02:03, or 3:07.25 with two digits."""
    whole, part = divmod(round(abs(seconds) * 10**digits), 10**digits)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return ("-" if seconds < 0 else "") + text + (f".{part:0{digits}d}" if digits else "")
