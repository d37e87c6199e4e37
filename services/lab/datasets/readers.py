"""All readers by name, and what holds for every set that comes from one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from services.common.errors import Fatal, Poison
from services.lab.datasets import (
    casme2,
    casme2_long,
    casme3,
    csv_clips,
    dfme,
    flow_images,
    fourdme,
    samm,
    samm_lv,
    smic,
)
from services.lab.datasets.clip import Clip, LongVideo

READERS: Final[dict[str, Callable[[Path], list[Clip]]]] = {
    module.NAME: module.read
    for module in (casme2, samm, smic, casme3, dfme, fourdme, casme2_long, samm_lv, csv_clips, flow_images)
}

LONG_READERS: Final[dict[str, Callable[[Path], list[LongVideo]]]] = {
    module.NAME: module.read_long for module in (casme2_long, samm_lv, casme3)
}


def read_clips(names: Sequence[str], roots: Sequence[Path]) -> list[Clip]:
    """Clips of one data set, or of several as one.

    roots: one a name, in order; or one folder that holds a folder for each name.
    Raises Fatal for an unknown name or a missing folder, Poison for a clip that is there twice.
    """
    unknown = sorted(set(names) - set(READERS))
    if unknown or not names:
        raise Fatal("unknown data set", names=unknown, known=sorted(READERS))
    if len(set(names)) != len(names):
        raise Fatal("a data set is named twice", names=list(names))
    if len(roots) == 1 and len(names) > 1:
        roots = [roots[0] / name for name in names]
    if len(roots) != len(names):
        raise Fatal("give --root once, or once for each data set", datasets=len(names), roots=len(roots))
    clips = [clip for name, root in zip(names, roots, strict=True) for clip in READERS[name](root)]
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.id in seen:
            raise Poison(
                "the same clip is there twice: delete one", clip=clip.id, first=seen[clip.id].source, second=clip.source
            )
        seen[clip.id] = clip
    return clips
