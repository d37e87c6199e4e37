"""STAG: what its users rely on, whatever its weights are."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from services.motion.aus import AUS, incidence
from services.motion.rois import PATCH, ROI_INDEX, ROIS, mirrored
from services.recognizer.stag.batch import collate
from services.recognizer.stag.config import FIVE_CLASSES, StagConfig
from services.recognizer.stag.model import Stag, StagInput, StagOutput, anatomy_prior
from tests.unit.recognizer.factories import motion

B, K, R, A = 3, 6, len(ROIS), len(AUS)
SWITCHES = [field.name for field in fields(StagConfig) if field.type is bool]
SMALL = StagConfig(width=32, heads=2, dropout=0.0)


@pytest.fixture(scope="module")
def model() -> Stag:
    return Stag().eval()


def clips(*lengths: int, known: bool = True) -> StagInput:
    return collate([motion(seed, frames, known=known) for seed, frames in enumerate(lengths or (K,) * B)])


@torch.inference_mode()
def run(model: Stag, batch: StagInput) -> StagOutput:
    return model(batch)


def assert_same(got: StagOutput, want: StagOutput, tolerance: float = 1e-5) -> None:
    for name, values in got._asdict().items():
        torch.testing.assert_close(
            values, getattr(want, name), rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_shapes_and_ranges(model: Stag) -> None:
    out = run(model, clips())
    assert {name: tuple(values.shape) for name, values in out._asdict().items()} == {
        "emotion": (B, 3),
        "au": (B, A),
        "intensity": (B, A, 2),
        "adjacency": (B, K, R, R),
        "frame_weights": (B, K),
        "roi_weights": (B, R),
        "au_edges": (B, A, A),
        "au_rois": (B, A, R),
        "frame_au": (B, K, A),
    }
    for name in ("adjacency", "frame_weights", "roi_weights", "au_rois"):
        values = getattr(out, name)
        torch.testing.assert_close(values.sum(-1), torch.ones(values.shape[:-1]), msg=f"{name} does not sum to 1")
    for name in ("intensity", "au_edges"):
        values = getattr(out, name)
        assert values.min() >= 0 and values.max() <= 1, name
    torch.testing.assert_close(out.au_edges, out.au_edges.transpose(1, 2))


def test_five_classes() -> None:
    assert run(Stag(replace(SMALL, classes=FIVE_CLASSES)).eval(), clips()).emotion.shape == (B, 5)


def test_size() -> None:
    assert Stag().parameter_count() < 2_000_000


def test_equal_seeds_begin_equal_and_leave_torch_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = Stag(SMALL), Stag(SMALL), Stag(replace(SMALL, seed=1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.emotion[0].weight, other.emotion[0].weight)


def test_values_of_unseen_rois_do_not_matter(model: Stag) -> None:
    batch = clips()
    seen = batch.seen.clone()
    seen[0, :, 3] = False
    seen[1, 2] = False  # nothing in one frame
    seen[2, 4, ::2] = False
    noise = torch.where(seen[..., None, None, None], batch.motion, torch.full_like(batch.motion, 7.0))
    clean = run(model, batch._replace(seen=seen))
    assert_same(run(model, batch._replace(seen=seen, motion=noise)), clean)
    assert clean.roi_weights[0, 3] == 0
    assert clean.frame_weights[1, 2] == 0


def test_seen_values_do_matter(model: Stag) -> None:
    batch = clips()
    assert not torch.allclose(run(model, batch).emotion, run(model, batch._replace(motion=-batch.motion)).emotion)


def test_padding_does_not_matter(model: Stag) -> None:
    together = run(model, clips(K, 2, 9))
    for i, frames in enumerate((K, 2, 9)):
        alone = run(model, collate([motion(i, frames)]))
        for name, values in alone._asdict().items():
            padded = getattr(together, name)[i : i + 1]
            if name in ("adjacency", "frame_weights", "frame_au"):
                padded = padded[:, :frames]
            torch.testing.assert_close(padded, values, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert together.frame_weights[1, 2:].eq(0).all()


def test_order_of_the_batch_does_not_matter(model: Stag) -> None:
    order = torch.tensor([2, 0, 1])
    batch = clips()
    shuffled = run(model, StagInput(*(values[order] for values in batch)))
    assert_same(shuffled, StagOutput(*(values[order] for values in run(model, batch))))


def test_unknown_magnitude_is_blind_to_gain_of_each_channel(model: Stag) -> None:
    batch = clips(known=False)
    gains = torch.tensor([3.0, 0.5, 8.0])[:, None, None]
    assert_same(run(model, batch._replace(motion=batch.motion * gains)), run(model, batch), 1e-4)


def test_known_magnitude_is_not(model: Stag) -> None:
    batch = clips()
    louder = run(model, batch._replace(motion=batch.motion * 3))
    assert not torch.allclose(louder.intensity, run(model, batch).intensity, atol=1e-4)


def test_a_picture_is_a_clip_of_one_frame(model: Stag) -> None:
    out = run(model, clips(1, known=False))
    assert out.frame_weights.tolist() == [[1.0]]
    assert out.emotion.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 6e4, 6e-8])
@pytest.mark.parametrize("known", [True, False])
def test_extreme_values_give_finite_answers(model: Stag, value: float, known: bool) -> None:
    batch = clips(known=known)
    out = run(model, batch._replace(motion=torch.full_like(batch.motion, value)))
    assert all(values.isfinite().all() for values in out)


def test_an_au_is_read_from_its_own_rois_only(model: Stag) -> None:
    out = run(model, clips())
    outside = torch.from_numpy(incidence() == 0)
    assert out.au_rois[:, outside].eq(0).all()


def test_both_sides_of_the_face_are_encoded_alike(model: Stag) -> None:
    """The left of a clip and the right of its mirror image differ in the embedding of the ROI only."""
    batch = clips()
    flip = torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    reflected = batch._replace(motion=batch.motion[:, :, list(mirrored())].flip(-1) * flip)
    encoded, other = model.encoder(batch, batch.seen), model.encoder(reflected, batch.seen)
    left, right = ROI_INDEX["cheek_left"], ROI_INDEX["cheek_right"]
    roi = model.encoder.roi
    torch.testing.assert_close(encoded[:, :, left] - roi[left], other[:, :, right] - roi[right], rtol=0, atol=1e-5)


def test_an_au_that_acts_ties_its_rois(model: Stag) -> None:
    nodes = torch.zeros(1, 1, R, model.config.width)
    seen = torch.ones(1, 1, R, dtype=torch.bool)
    quiet, smile = torch.zeros(1, 1, A), torch.zeros(1, 1, A)
    smile[..., [au.code for au in AUS].index("AU12")] = 1
    corner, cheek = ROI_INDEX["lip_corner_left"], ROI_INDEX["cheek_left"]
    before, after = (model.connectivity(nodes, au, seen)[0, 0] for au in (quiet, smile))
    assert after[corner, cheek] > before[corner, cheek]
    assert after[corner, ROI_INDEX["glabella"]] < before[corner, ROI_INDEX["glabella"]]


def test_anatomy_prior() -> None:
    prior = anatomy_prior()
    assert np.allclose(prior, prior.T) and prior.min() >= 0 and prior.max() <= 1 + 1e-6
    assert prior[ROI_INDEX["cheek_left"], ROI_INDEX["cheek_right"]] == 1
    assert prior[ROI_INDEX["glabella"], ROI_INDEX["chin"]] == 0


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_part_can_be_switched_off(switch: str) -> None:
    whole = Stag(SMALL).eval()
    without = Stag(replace(SMALL, **{switch: False})).eval()
    own = without.state_dict()
    # What both have gets the same values, so that a difference comes from the part alone.
    shared = {n: values for n, values in whole.state_dict().items() if n in own and values.shape == own[n].shape}
    without.load_state_dict(own | shared)
    got, want = run(without, clips()), run(whole, clips())
    assert all(values.isfinite().all() for values in got)
    assert not torch.allclose(got.emotion, want.emotion, atol=1e-7)


def test_all_parts_off_at_once() -> None:
    bare = Stag(replace(SMALL, **dict.fromkeys(SWITCHES, False))).eval()
    assert run(bare, clips()).emotion.isfinite().all()


def test_gradients_reach_every_parameter() -> None:
    model = Stag(SMALL).train()
    clip = clips()._replace(magnitude_known=torch.tensor([True, False, True]))
    out = model(clip)
    weights = [torch.randn(values.shape, generator=torch.Generator().manual_seed(1)) for values in out]
    sum((values * w).sum() for values, w in zip(out, weights, strict=True)).backward()
    unreached = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 1e-9]
    assert unreached == []


def test_emotion_alone_reaches_all_but_intensity() -> None:
    """Data sets without AU codes still train the whole of the network that leads to the emotion."""
    model = Stag(SMALL).train()
    clip = clips()._replace(magnitude_known=torch.tensor([True, False, True]))
    torch.nn.functional.cross_entropy(model(clip).emotion, torch.tensor([0, 1, 2])).backward()
    unreached = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert unreached == {"intensity", "intensity_bias"}


def test_it_learns() -> None:
    """Four clips, four answers: a network that cannot fit them is wired wrongly."""
    torch.manual_seed(0)
    model = Stag(replace(SMALL, classes=("a", "b", "c", "d"))).train()
    batch, target = clips(K, K, 4, 1), torch.arange(4)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch).emotion, target).backward()
        optimiser.step()
    assert run(model.eval(), batch).emotion.argmax(-1).equal(target)


def test_patch_side_is_that_of_the_tensor() -> None:
    assert clips().motion.shape[-2:] == (PATCH, PATCH)
