"""Clips for training: shapes, labels, determinism, and that the two ways agree."""

from pathlib import Path

import numpy as np
import pytest

from services.common.errors import Fatal
from services.lab.synth import clips, direct, flow_images, measured, timing, tracks
from services.lab.synth.batch import Clips
from services.lab.synth.canvas import CLEAN
from services.lab.synth.faces import Still
from services.lab.synth.scene import Mover
from services.lab.synth.styles import STYLES, Style
from services.motion.aus import AU_INDEX
from services.motion.rois import ROI_INDEX, ROIS
from services.motion.tensor import MotionTensor, pack, unpack


def check(made: Clips, count: int, frames: int = 8) -> None:
    assert made.motion.shape == (count, frames, len(ROIS), 3, 8, 8)
    assert made.motion.dtype == np.float16
    assert np.isfinite(made.motion.astype(np.float32)).all()
    np.testing.assert_array_equal(made.seen.any(2) & ~made.present, False)
    assert not made.motion[~made.seen].any()
    np.testing.assert_array_equal(made.aus, made.intensity.any(2))
    for i in range(count):
        k = int(made.present[i].sum())
        tensor = MotionTensor(made.motion[i, :k], made.times[i, :k], made.seen[i, :k], tuple(range(k)))
        unpack(pack(tensor))  # as the recognizer would take it


@pytest.mark.parametrize("style", STYLES)
def test_direct(style: Style) -> None:
    made = direct.clips(np.random.default_rng(0), 20, style)
    check(made, 20)
    np.testing.assert_array_equal(direct.clips(np.random.default_rng(0), 20, style).motion, made.motion)


def test_measured(portrait: Still, mover: Mover) -> None:
    made = measured.clips(
        np.random.default_rng(0), 2, [portrait], {portrait.identity: mover}, "muscle", tracks.strengths(0.5), ["dis"]
    )
    check(made, 2)
    assert made.identity.tolist() == [portrait.identity] * 2


def test_both_ways_agree(portrait: Still, mover: Mover, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on pictures, motion is where and as large as it is straight from the fields."""
    window = next(
        drawn
        for drawn in (timing.draw(np.random.default_rng(seed), 0, 0, "surprise") for seed in range(50))
        if set(drawn.expression.drawn.aus) == {"AU1", "AU2"} and drawn.expression.drawn.intensity.max() > 0.3
    )
    monkeypatch.setattr(timing, "draw", lambda *_: window)
    rng = np.random.default_rng(0)
    seen = measured.clips(rng, 1, [portrait], {portrait.identity: mover}, "muscle", tracks.strengths(0), ["dis"])
    meant = direct.clips(rng, 1, "muscle", CLEAN)
    apex = int(np.abs(meant.times[0, : meant.present[0].sum()]).argmin())
    a, b = (made.motion[0, apex, :, :2].astype(np.float64).mean((2, 3)) for made in (seen, meant))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.8
    assert 0.6 < (a * b).sum() / (b * b).sum() < 1.4
    for side in ("left", "right"):
        assert b[ROI_INDEX[f"brow_inner_{side}"], 1] < -0.004, "brows go up, so v is negative"


def test_images_have_one_frame_and_no_scale() -> None:
    made = clips.image_clips(np.random.default_rng(0), 12, "muscle")
    check(made, 12, frames=1)
    assert made.present.all()
    assert not made.magnitude_known.any()


def test_flow_images_keep_the_sign() -> None:
    """Where AU12 pulls the left corner outwards, u is above its median; the right one below."""
    canvas = flow_images.face()
    field = canvas.aus("muscle")[AU_INDEX["AU12"]].sum(0).transpose(2, 0, 1)
    image = flow_images._crop(canvas, field, flow_images.LOOSEST)
    u = image[..., 0].astype(int)
    assert u[17:23, 17:22].mean() > np.median(u) + 20
    assert u[17:23, 6:11].mean() < np.median(u) - 20
    assert image.min((0, 1)).tolist() == [0, 0, 0]
    assert image.max((0, 1)).tolist() == [255, 255, 255]


def test_files(tmp_path: Path) -> None:
    made = direct.clips(np.random.default_rng(1), 4, "muscle")
    clips.save(tmp_path / "a.npz", made)
    again = clips.load([tmp_path / "a.npz", tmp_path / "a.npz"])
    assert len(again) == 8
    np.testing.assert_array_equal(again.motion[4:], made.motion)
    (tmp_path / "b.npz").write_text("nothing")
    with pytest.raises(Fatal, match="not a file of generated clips"):
        clips.load([tmp_path / "b.npz"])
