"""Clips changed at random, on whatever device they are, so that the network sees none twice the same.

Randomness is torch's own of that device: who seeds it gets the same again. Letters in shapes: see
`services.recognizer.stag.model`.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from services.lab.recipe import Augmentation
from services.lab.targets import Batch, Targets, take
from services.motion.rois import mirrored
from services.recognizer.stag.model import StagInput

_TWINS: Final = list(mirrored())
_COARSE: Final = 3
"""Points along a side from which smooth noise is drawn."""


def augment(batch: Batch, how: Augmentation) -> Batch:
    """Each clip by itself; labels follow. Mixing is apart, see `mixed`."""
    clips, targets = batch
    if 0 < how.frames < clips.times.shape[1]:
        clips = _fewer(clips, how.frames)
    flip = torch.rand_like(clips.times[:, 0]) < how.mirror  # [B]
    clips = choose(flip, mirror(clips), clips)
    sides = torch.where(flip[:, None, None], targets.intensity.flip(-1), targets.intensity)
    motion = _moved(clips.motion, how) if how.shift or how.zoom else clips.motion
    motion = _noisy(motion, clips.seen, how.noise)
    motion = motion * (how.gain * torch.randn(len(flip), 1, 1, 1, 1, 1, device=motion.device)).exp()
    hidden = torch.rand_like(clips.times[:, 0]) < how.mask_magnitude
    clips = clips._replace(motion=motion, magnitude_known=clips.magnitude_known & ~hidden)
    return Batch(_dropped(clips, how), targets._replace(intensity=sides))


def mirror(clips: StagInput) -> StagInput:
    """The same motion on the other side of the face: ROIs change places, columns flip, u changes sign."""
    sign = clips.motion.new_tensor([-1, 1, 1])[:, None, None]
    return clips._replace(motion=clips.motion[:, :, _TWINS].flip(-1) * sign, seen=clips.seen[:, :, _TWINS])


def choose(which: Tensor, yes: StagInput, no: StagInput) -> StagInput:
    """Of each clip one of two versions. which: [B] bool."""
    return StagInput(*(torch.where(which.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in zip(yes, no, strict=True)))


def mixed(batch: Batch, alpha: float) -> tuple[StagInput, Targets, float]:
    """Each clip with a little of another over it (Zhang et al., "mixup", ICLR 2018), whose frames and ROIs are taken as
    they come.

    Returns the clips, the targets of the others, and the share of the first, 0.5 to 1.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    share = max(share, 1 - share)
    other = take(batch, torch.randperm(len(batch.targets.emotion), device=batch.targets.emotion.device))
    size, other_size = _rms(batch.clips), _rms(other.clips)
    motion = share * batch.clips.motion + (1 - share) * other.clips.motion * (size / other_size)
    return batch.clips._replace(motion=motion), other.targets, share


def _rms(clips: StagInput) -> Tensor:
    """[B, 1, 1, 3, 1, 1] of each channel."""
    return (clips.motion.square().mean((1, 2, 4, 5), keepdim=True) + 1e-12).sqrt()


def _moved(motion: Tensor, how: Augmentation) -> Tensor:
    """Patches cut elsewhere: all of a clip alike, as a face in its crop, and each ROI a little for itself."""
    count, frames, rois, _, side, _ = motion.shape
    shift = torch.randn(count, 1, 2, device=motion.device) + 0.5 * torch.randn(count, rois, 2, device=motion.device)
    zoom = (how.zoom * torch.randn(count, 1, 2, device=motion.device)).exp().expand(count, rois, 2)
    place = torch.cat([torch.diag_embed(zoom), (how.shift * 2 / side * shift)[..., None]], -1)  # [B, R, 2, 3]
    place = place[:, None].expand(count, frames, rois, 2, 3).reshape(-1, 2, 3)
    grid = F.affine_grid(place, [len(place), 3, side, side], align_corners=False)
    return F.grid_sample(motion.flatten(0, 2), grid, padding_mode="border", align_corners=False).view_as(motion)


def _noisy(motion: Tensor, seen: Tensor, noise: float) -> Tensor:
    """Errors of flow: smooth within a patch, different in each, up to `noise` of the RMS of the channel."""
    count, frames, rois, channels, side, _ = motion.shape
    power = motion.square().sum((1, 2, 4, 5)) / (seen.sum((1, 2))[:, None] * side * side).clamp_min(1)  # [B, 3]
    level = noise * torch.rand_like(power[:, :1]) * power.sqrt()
    coarse = torch.randn(count * frames * rois, channels, _COARSE, _COARSE, device=motion.device)
    smooth = F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True).view_as(motion)
    return motion + level[:, None, None, :, None, None] * smooth * seen[..., None, None, None]


def _fewer(clips: StagInput, frames: int) -> StagInput:
    """Of each clip so many frames at random, in their order: the one nearest the apex, then others that are present."""
    rank = torch.rand_like(clips.times) + clips.present + 2 * _is_apex(clips)  # [B, K]
    kept = rank.topk(frames, 1).indices.sort(1).values
    rows = torch.arange(len(kept), device=kept.device)[:, None]
    motion, times, seen, present = (values[rows, kept] for values in clips[:4])
    return clips._replace(motion=motion, times=times, seen=seen, present=present)


def _is_apex(clips: StagInput) -> Tensor:
    """[B, K] bool: of the frames that are present the one nearest the apex."""
    apex = clips.times.abs().masked_fill(~clips.present, torch.inf).argmin(1)
    return F.one_hot(apex, clips.times.shape[1]).bool()


def _dropped(clips: StagInput, how: Augmentation) -> StagInput:
    """Some frames and ROIs hidden; the frame nearest the apex stays, and a clip that would lose every ROI keeps all."""
    is_apex = _is_apex(clips)
    present = clips.present & (is_apex | (torch.rand_like(clips.times) >= how.drop_frames))
    seen = clips.seen & (torch.rand_like(clips.seen[:, :1], dtype=clips.times.dtype) >= how.drop_rois)
    left = (seen & present[..., None]).any((1, 2))  # [B]
    present = torch.where(left[:, None], present, clips.present)
    seen = torch.where(left[:, None, None], seen, clips.seen)
    return clips._replace(present=present, seen=seen, motion=clips.motion * seen[..., None, None, None])
