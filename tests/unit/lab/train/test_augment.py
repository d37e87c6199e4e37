"""What augmentation may change, and what it must not."""

import numpy as np
import pytest
import torch

from services.lab.augment import augment, mirror, mixed
from services.lab.baselines import mirror as mirror_patches
from services.lab.recipe import FINE, Augmentation
from services.lab.synth import direct
from services.lab.synth.styles import LEFT, RIGHT
from services.lab.targets import Batch, of_generated

NOTHING = Augmentation(mirror=0, gain=0, noise=0, drop_rois=0, drop_frames=0, mask_magnitude=0)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return of_generated(direct.clips(np.random.default_rng(0), 24, "muscle")).to(torch.device("cpu"))


def test_nothing_asked_for_changes_nothing(batch: Batch) -> None:
    after = augment(batch, NOTHING)
    for a, b in zip((*after.clips, *after.targets), (*batch.clips, *batch.targets), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_mirror_moves_rois_columns_signs_and_sides_together(batch: Batch) -> None:
    after = augment(batch, Augmentation(**{**vars(NOTHING), "mirror": 1.0}))
    expected = mirror_patches(batch.clips.motion[:, 0].numpy())
    np.testing.assert_array_equal(after.clips.motion[:, 0].numpy(), expected)
    torch.testing.assert_close(after.targets.intensity[..., LEFT], batch.targets.intensity[..., RIGHT])
    twice = mirror(after.clips)
    torch.testing.assert_close(twice.motion, batch.clips.motion)
    assert torch.equal(twice.seen, batch.clips.seen)


def test_hard_augmentation_leaves_every_clip_something_to_see(batch: Batch) -> None:
    torch.manual_seed(0)
    how = Augmentation(drop_rois=0.99, drop_frames=0.99, shift=0.6, zoom=0.1, noise=0.5)
    clips, targets = augment(batch, how)
    assert (clips.seen & clips.present[..., None]).any((1, 2)).all()
    assert clips.seen.sum() < batch.clips.seen.sum()
    assert not (clips.present & ~batch.clips.present).any()
    assert not clips.motion[~clips.seen].any()
    assert clips.motion.isfinite().all()
    assert torch.equal(targets.emotion, batch.targets.emotion)


def test_the_frame_nearest_the_apex_stays(batch: Batch) -> None:
    torch.manual_seed(0)
    clips, _ = augment(batch, Augmentation(**{**vars(NOTHING), "drop_frames": 1.0}))
    assert clips.present.sum(1).tolist() == [1] * 24
    nearest = batch.clips.times.abs().masked_fill(~batch.clips.present, torch.inf).argmin(1)
    assert torch.equal(clips.present.int().argmax(1), nearest)


def test_of_fewer_frames_the_one_nearest_the_apex_is_one(batch: Batch) -> None:
    torch.manual_seed(0)
    clips, _ = augment(batch, Augmentation(**{**vars(NOTHING), "frames": 3}))
    before = batch.clips.times.abs().masked_fill(~batch.clips.present, torch.inf).min(1).values
    after = clips.times.abs().masked_fill(~clips.present, torch.inf).min(1).values
    assert clips.motion.shape[1] == 3
    torch.testing.assert_close(after, before)
    assert (clips.times.diff(dim=1)[clips.present[:, 1:]] > 0).all(), "in their order"
    assert clips.present.sum(1).tolist() == batch.clips.present.sum(1).clamp(max=3).tolist()


def test_a_shift_moves_patches_by_as_much(batch: Batch) -> None:
    """A ramp to the right, cut elsewhere, is the ramp plus a constant."""
    ramp = torch.arange(8.0).expand_as(batch.clips.motion).clone()
    ramps = batch._replace(clips=batch.clips._replace(motion=ramp))
    shifted, _ = augment(ramps, Augmentation(**{**vars(NOTHING), "shift": 0.5}))
    inner = (shifted.motion - ramp)[..., 3:5, 3:5] * batch.clips.seen[..., None, None, None]
    assert inner.abs().max() > 0.3
    torch.testing.assert_close(inner.amax((-1, -2)), inner.amin((-1, -2)), atol=1e-4, rtol=0)


def test_mixing_keeps_the_first_clip_in_front(batch: Batch) -> None:
    torch.manual_seed(0)
    clips, other, share = mixed(batch, 0.4)
    assert 0.5 <= share <= 1
    assert sorted(other.emotion.tolist()) == sorted(batch.targets.emotion.tolist())
    a, b = clips.motion.flatten(1), batch.clips.motion.flatten(1)
    assert (torch.cosine_similarity(a, b) > 0.5).all()


def test_the_same_seed_gives_the_same(batch: Batch) -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(augment(batch, FINE.augmentation).clips.motion)
    assert torch.equal(*made)
