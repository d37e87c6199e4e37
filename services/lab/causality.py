"""Whether an explanation tells what the answer rests on: hide what it calls important, and the answer must change more
than when as much is hidden of what it calls unimportant.

Deletion of the highest and of the lowest ranked, as Samek et al., "Evaluating the visualization of what a deep neural
network has learned", IEEE TNNLS 2017.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor

from services.recognizer.stag.model import Stag, StagInput, StagOutput

SHARE: Final = 0.25
"""Of the ROIs, or frames, that are hidden."""


class Effect(NamedTuple):
    """How far the answer moves, mean over clips, when the highest and when the lowest ranked are hidden: 0 to 1, total
    variation for emotion, change of probability for an AU. ratio: of the two."""

    high: float
    low: float

    @property
    def ratio(self) -> float:
        return self.high / max(self.low, 1e-9)


@torch.inference_mode()
def effects(network: Stag, clips: StagInput) -> dict[str, Effect]:
    """For each kind of explanation. Clips need several frames for "frames" to mean something.

    rois: hidden by `roi_weights`; frames: by `frame_weights`, both with the emotion as answer; au_rois: for each clip
    its most probable AU, hidden by that AU's row of `au_rois`.
    """
    before = network(clips)
    seen = (clips.seen & clips.present[..., None]).any(1)  # [B, R]
    leading = before.au.argmax(1)  # [B]
    rows = torch.arange(len(leading))
    au_rois = before.au_rois[rows, leading]  # [B, R]
    of_au = seen & (au_rois > 0)

    def emotion(after: StagOutput) -> Tensor:
        moved: Tensor = (after.emotion.softmax(-1) - before.emotion.softmax(-1)).abs().sum(-1) / 2
        return moved

    def au(after: StagOutput) -> Tensor:
        moved: Tensor = (after.au.sigmoid() - before.au.sigmoid())[rows, leading].abs()
        return moved

    return {
        "rois": _effect(network, clips, before.roi_weights, seen, _without_rois, emotion),
        "frames": _effect(network, clips, before.frame_weights, clips.present, _without_frames, emotion),
        "au_rois": _effect(network, clips, au_rois, of_au, _without_rois, au),
    }


def _effect(
    network: Stag,
    clips: StagInput,
    weights: Tensor,
    among: Tensor,
    without: Callable[[StagInput, Tensor], StagInput],
    change: Callable[[StagOutput], Tensor],
) -> Effect:
    """weights: [B, N]; among: [B, N] bool, which may be hidden. Clips with fewer than two of them say nothing."""
    count = among.sum(1)
    hide = (SHARE * count).ceil().clamp(max=count // 2)  # [B]
    asked = hide > 0
    moved = []
    for sign in (-1, 1):
        rank = (sign * weights).masked_fill(~among, torch.inf).argsort(1).argsort(1)
        moved.append(change(network(without(clips, rank < hide[:, None])))[asked].mean().item())
    return Effect(*moved)


def _without_rois(clips: StagInput, hidden: Tensor) -> StagInput:
    """hidden: [B, R]."""
    return clips._replace(seen=clips.seen & ~hidden[:, None])


def _without_frames(clips: StagInput, hidden: Tensor) -> StagInput:
    """hidden: [B, K]."""
    return clips._replace(present=clips.present & ~hidden)
