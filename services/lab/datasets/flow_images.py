"""Flow images as the code bases of MEGC 2019 keep them: one small picture a clip, classes 0 negative, 1 positive,
2 surprise.

`<root>/<subject>/u_test/<class>/*.png`, and `u_train`, which repeats the other subjects' `u_test` and may be absent;
the union of all `u_test` is the set. Pictures are about 28 x 28, channels in RGB order u, v, strain from onset to apex,
each min-max scaled to 8 bits.
Traps: spaces in names; equal names in two classes; subjects of three data sets side by side (sub01 is CASME II's, s1
SMIC's, 006 SAMM's).
"""

import re
from pathlib import Path
from typing import Final

from services.common.errors import Fatal, Poison
from services.ingest.sources import IMAGES
from services.lab.datasets.clip import Clip
from services.lab.datasets.emotions import THREE_CLASSES

NAME: Final = "flow-images"

_PEOPLE: Final = {r"sub\d+": "casme2", r"s\d+": "smic", r"\d{3}": "samm", r"spNO\.\d+": "casme3"}


def read(root: Path) -> list[Clip]:
    """All clips. Raises Fatal for a folder in another layout, Poison for a class that is none."""
    if not root.is_dir():
        raise Fatal("there is no such folder", folder=str(root))
    subjects = sorted(folder for folder in root.iterdir() if (folder / "u_test").is_dir())
    clips = [clip for subject in subjects for clip in _subject(root, subject)]
    if not clips:
        raise Fatal(
            "no pictures in <subject>/u_test/<class>: let --root be the folder of the subjects", folder=str(root)
        )
    return clips


def _subject(root: Path, folder: Path) -> list[Clip]:
    clips = []
    for kind in sorted(each for each in (folder / "u_test").iterdir() if each.is_dir()):
        if kind.name not in ("0", "1", "2"):
            raise Poison("class is none of 0, 1, 2", folder=str(kind.relative_to(root)))
        label = THREE_CLASSES[int(kind.name)]
        for file in sorted(each for each in kind.iterdir() if each.suffix.lower() in IMAGES):
            clips.append(
                Clip(
                    NAME,
                    _subject_name(folder.name),
                    f"{kind.name}/{file.name}",
                    file,
                    None,
                    None,
                    None,
                    None,
                    label,
                    label,
                    None,
                    None,
                    str(file.relative_to(root)),
                    people=_people(folder.name),
                )
            )
    return clips


def _people(subject: str) -> str | None:
    return next((people for pattern, people in _PEOPLE.items() if re.fullmatch(pattern, subject)), None)


def _subject_name(folder: str) -> str:
    """As that data set's own reader writes it, so that one person has one name."""
    match _people(folder):
        case "casme2":
            return folder.removeprefix("sub").zfill(2)
        case "smic":
            return f"s{int(folder[1:]):02d}"
    return folder
