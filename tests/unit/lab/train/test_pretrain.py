"""From nothing to a file of weights."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from services.common.errors import Fatal
from services.common.settings import ModelSettings
from services.lab import cli, generated, pretrain
from services.lab.pretrain import Task, choose_thresholds
from services.lab.recipe import Recipe
from services.lab.synth import clips, direct
from services.lab.synth.batch import Clips
from services.motion.aus import AUS
from services.recognizer import weights
from services.recognizer.stag.config import StagConfig

CPU = ModelSettings(device="cpu", torch_threads=1)


@pytest.fixture
def task(tmp_path: Path, tiny: StagConfig, recipe: Recipe) -> Task:
    return Task(tmp_path / "made.safetensors", recipe, seed=7, workers=0, config=tiny)


def named(identities: list[str], style: str = "muscle") -> Clips:
    made = direct.clips(np.random.default_rng(1), len(identities), "muscle")
    return replace(made, identity=np.array(identities), style=np.full(len(identities), style))


def test_weights_that_were_trained_are_read_again_and_say_so(task: Task) -> None:
    report = pretrain.pretrain(task, CPU)
    made = weights.read(task.out)
    assert made.trained
    assert made.digest() == report["digest"]
    assert report["steps"] == 8
    assert report["training_seconds"] > 0
    assert report["making_seconds"] > 0
    assert "cores" in report["hardware"]
    assert report["validation"]["n"] == 48, "images and clips"
    assert json.loads(task.out.with_suffix(".json").read_text("utf-8")) == report
    assert sorted(path.name for path in task.out.parent.iterdir()) == ["made.json", "made.safetensors"]


class Killed(BaseException):
    """As if the process had died."""


def test_a_training_that_was_killed_ends_as_one_that_was_not(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = pretrain.pretrain(task, CPU)["digest"]
    broken = replace(task, out=tmp_path / "other" / "made.safetensors", resume=True)
    step = pretrain.Loop.__call__

    def dies(loop: Any, batch: Any) -> Any:
        if loop.step == 5:  # two steps after the first checkpoint
            raise Killed
        return step(loop, batch)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(pretrain.Loop, "__call__", dies)
        pretrain.pretrain(broken, CPU)
    assert not broken.out.exists()
    seen = []
    monkeypatch.setattr(pretrain.Loop, "__call__", lambda loop, batch: (seen.append(loop.step), step(loop, batch))[1])
    resumed = pretrain.pretrain(replace(broken, workers=1), CPU)
    assert seen == [3, 4, 5, 6, 7], "what the checkpoint held was not done again"
    assert resumed["digest"] == undisturbed


def test_a_checkpoint_of_another_training_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pretrain, "choose_thresholds", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            pretrain.pretrain(task, CPU)
    assert task.out.with_suffix(".checkpoint").exists()
    with pytest.raises(Fatal, match="another recipe, seed or data"):
        pretrain.pretrain(replace(task, seed=8, resume=True), CPU)


def test_thresholds_come_from_validation_alone(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow the truth of validation clips, and no clip of training is among those."""
    trained_on, validated_on = [], []
    for name, seen in (("training", trained_on), ("validation", validated_on)):
        make = getattr(generated, name)

        def watched(*words: Any, _make: Any = make, _seen: list[bytes] = seen) -> Any:
            for batch in _make(*words):
                _seen.extend(motion.numpy().tobytes() for motion in batch.clips.motion)
                yield batch

        monkeypatch.setattr(generated, name, watched)
    asked = []
    choose = pretrain.choose_thresholds
    monkeypatch.setattr(pretrain, "choose_thresholds", lambda *words: (asked.append(words), choose(*words))[1])
    pretrain.pretrain(task, CPU)
    [(probability, truth)] = asked
    assert len(probability) == len(truth) == len(validated_on) == 48
    assert len(trained_on) == 64
    assert not set(trained_on) & set(validated_on)
    assert weights.read(task.out).thresholds == pytest.approx(choose(probability, truth))


def test_a_threshold_is_where_f1_is_best() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((500, len(AUS))) < 0.3
    truth[:, 1] = False
    said = np.clip(rng.normal(np.where(truth, 0.6, 0.3), 0.15), 0, 1)

    def f1(at: float) -> float:
        active = said[:, 0] >= at
        return float(2 * (active & truth[:, 0]).sum() / (active.sum() + truth[:, 0].sum()))

    chosen = choose_thresholds(said, truth)
    assert f1(chosen[0]) == max(f1(at) for at in said[:, 0])
    assert chosen[1] == weights.DEFAULT_THRESHOLD, "an AU that never acts tells nothing"


def test_stored_clips_are_divided_by_identity_and_classes_made_alike() -> None:
    names = [f"person {i % 40}" for i in range(160)]
    train, check = generated.divide(named(names))
    assert check is not None
    assert not set(train.identity) & set(check.identity)
    left_out = set(names) - set(train.identity) - set(check.identity)
    assert left_out == {name for name in names if generated.faces.is_test(name)}
    assert left_out
    assert len(set(np.bincount(train.emotion).tolist())) == 1


def test_the_style_that_is_held_out_is_refused() -> None:
    with pytest.raises(Fatal, match="held out"):
        generated.divide(named(["a", "b"], style="blendshape"))


def test_faces_are_measured_once_and_only_those_for_training(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "_CHUNK", 3)
    names = [f"person {i}" for i in range(40)]
    test, kept = next(n for n in names if generated.faces.is_test(n)), next(n for n in names if _trains(n))
    folder = task.out.parent / "faces"
    folder.mkdir()
    for name in (test, kept):
        (folder / f"{name}.jpg").write_bytes(generated.faces.demo_picture().read_bytes())
    with_faces = replace(task, recipe=replace(task.recipe, measured_images=3, measured_clips=1), faces=folder)
    for kind, faced in pretrain.pools(with_faces, lambda *_: None)[0].items():
        assert len(faced) == 2, "those from fields, then those from faces"
        assert set(faced[1].identity.tolist()) == {kept}, kind

    def never(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(generated, "pool", never)
    pretrain.pretrain(replace(with_faces, resume=True), CPU)
    assert weights.read(task.out).trained


def _trains(name: str) -> bool:
    return generated._side(name) == "train"


def test_a_batch_depends_on_seed_and_step_alone(task: Task) -> None:
    pools, _ = pretrain.pools(task, lambda *_: None)
    batches = [batch.clips.motion for batch in generated.training(pools, task.recipe, 0, 0)]
    assert len(batches) == task.recipe.steps
    assert {len(motion) for motion in batches} == {task.recipe.batch}
    assert {motion.shape[1] for motion in batches} == {1, 8}, "images and clips take turns"
    later = next(generated.training(pools, task.recipe, 0, 5)).clips.motion
    assert torch.equal(later, batches[5])
    assert not any(torch.equal(later, motion) for motion in batches[:5])


def test_the_command(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of clips in, weights and a few lines out."""
    clips.save(tmp_path / "stored.npz", named([f"person {i}" for i in range(24)]))
    monkeypatch.setattr("services.lab.recipe.GENERATED", recipe)
    words = ["--out", tmp_path / "w.safetensors", "--stored", tmp_path / "stored.npz", "--steps", 4, "--workers", 0]
    result = CliRunner().invoke(cli.train, [*map(str, words), "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "4 steps of 8 clips in" in result.output
    assert "cores of" in result.output
    assert weights.read(tmp_path / "w.safetensors").trained
