"""SMIC-HS (Li et al., FG 2013): 164 clips of 16 subjects at 100 frames a second.

No sheet: the class is in the name of the folder, `s1/micro/negative/s1_ne_01/image1234.jpg`, whose frames run from
onset to offset under their numbers in the recording.
Traps: no apex and no AUs; copies write s1 or s01.
"""

import re
from pathlib import Path
from typing import Final

from services.common.errors import Fatal
from services.lab.datasets.clip import Clip
from services.lab.datasets.emotions import emotions, three_class
from services.lab.datasets.folders import Folders

NAME: Final = "smic"
FPS: Final = 100.0

_FOLDER: Final = re.compile(r"s(\d+)_(ne|po|sur)_(\d+)", re.IGNORECASE)


def read(root: Path) -> list[Clip]:
    """All clips. Raises Fatal when there is none, or two copies of one."""
    clips: dict[str, Clip] = {}
    for folder in Folders(root):
        match = _FOLDER.fullmatch(folder.name)
        if match is None:
            continue
        subject, emotion = f"s{int(match[1]):02d}", emotions(match[2])[0]
        name = f"{subject}_{match[2].lower()}_{match[3]}"
        if name in clips:
            raise Fatal(
                "two copies of one clip: let --root be the one that is meant",
                folders=sorted([str(clips[name].path), str(folder)]),
            )
        clips[name] = Clip(
            NAME,
            subject,
            name,
            folder,
            FPS,
            None,
            None,
            None,
            emotion,
            three_class(emotion),
            None,
            None,
            str(folder.relative_to(root)),
        )
    if not clips:
        raise Fatal("no folders named like s1_ne_01: let --root be the folder that holds them", folder=str(root))
    return list(clips.values())
