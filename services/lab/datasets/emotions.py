"""What coders call an emotion, and which class of which protocol it falls into.

Three classes: See et al., "MEGC 2019: the second facial micro-expressions grand challenge", FG 2019: repression, anger,
contempt, disgust, fear and sadness are negative, happiness is positive, surprise is surprise, the rest is left out.

Five classes differ by data set:
- CASME II: the five that the set was published with (Yan et al., PLoS ONE 2014): its five largest.
- SAMM: the five with more than ten clips (Khor et al., "Dual-stream shallow networks", ICIP 2019).
- 4DME: the five that it is coded in (Li et al., IEEE TAC 2022).
- CAS(ME)3, DFME: nothing is published; ours are the five largest, as it was done for CASME II and SAMM.
SMIC-HS and CAS(ME)2 are coded in three and four classes: they have no five.
"""

import re
from collections.abc import Iterable
from typing import Final

from services.common.errors import Fatal

THREE_CLASSES: Final = ("negative", "positive", "surprise")

NEGATIVE: Final = frozenset({"negative", "repression", "anger", "contempt", "disgust", "fear", "sadness"})
POSITIVE: Final = frozenset({"positive", "happiness"})

FIVE_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "casme2": ("disgust", "happiness", "repression", "surprise", "others"),
    "samm": ("anger", "contempt", "happiness", "surprise", "others"),
    "samm-lv": ("anger", "contempt", "happiness", "surprise", "others"),
    "casme3": ("disgust", "surprise", "others", "fear", "anger"),
    "dfme": ("disgust", "surprise", "fear", "happiness", "sadness"),
    "4dme": ("negative", "positive", "surprise", "repression", "others"),
    "csv": ("disgust", "happiness", "repression", "surprise", "others"),
}

_ALIASES: Final = {
    "other": "others",
    "happy": "happiness",
    "happyiness": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "disgusted": "disgust",
    "scared": "fear",
    "afraid": "fear",
    "suprise": "surprise",
    "surprised": "surprise",
    "repressed": "repression",
    "ne": "negative",
    "po": "positive",
    "sur": "surprise",
}


def emotions(text: str) -> tuple[str, ...]:
    """The emotions of one cell under their usual names, more than one where the coder gave more."""
    words = re.split(r"[,/+;&|]|\band\b", text.casefold())
    return tuple(dict.fromkeys(_ALIASES.get(word, word) for word in (part.strip() for part in words) if word))


def three_class(text: str) -> str | None:
    """The class of the 3-class protocol; None when it leaves the clip out, or its emotions fall into several."""
    return _single(_three(emotion) for emotion in emotions(text))


def five_class(dataset: str, text: str) -> str | None:
    """The class of that data set's 5-class protocol; None when it leaves the clip out or there is no such protocol."""
    known = FIVE_CLASSES.get(dataset, ())
    return _single(emotion if emotion in known else None for emotion in emotions(text))


def class_names(classes: int, datasets: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of labels. Raises Fatal when the data sets have no such protocol in common."""
    if classes == 3:
        return THREE_CLASSES
    tables = {name: FIVE_CLASSES.get(name) for name in datasets}
    for name, table in tables.items():
        if table is None:
            raise Fatal("this data set has no five classes: use --classes 3", dataset=name)
    if len(set(tables.values())) != 1:
        raise Fatal("these data sets have different five classes: use --classes 3", datasets=sorted(tables))
    return next(table for table in tables.values() if table is not None)


def _three(emotion: str) -> str | None:
    if emotion in NEGATIVE:
        return "negative"
    if emotion in POSITIVE:
        return "positive"
    return "surprise" if emotion == "surprise" else None


def _single(labels: Iterable[str | None]) -> str | None:
    found = set(labels)
    return found.pop() if len(found) == 1 else None
