"""From nothing to weights: STAG learns from generated clips, and leaves a checkpoint every few hundred steps."""

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from services.analyze.files import whole, write_json
from services.analyze.summary import versions
from services.common.errors import Fatal
from services.common.settings import ModelSettings
from services.lab import generated, metrics
from services.lab.generated import Kind, Pools, Way
from services.lab.loop import Loop
from services.lab.recipe import Recipe
from services.lab.synth import clips, faces
from services.lab.synth.batch import Clips, join
from services.lab.synth.faces import Still
from services.lab.targets import Batch
from services.motion.aus import AUS
from services.recognizer import weights
from services.recognizer.engine import choose_device
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag
from services.recognizer.weights import DEFAULT_THRESHOLD, Weights

Progress = Callable[[str, int, int], None]
"""Called with what is done, steps done, steps in all."""

_LOOK: Final = 20
"""Steps between looks at the loss: each makes the GPU wait."""


@dataclass(frozen=True)
class Task:
    """What to train. faces: folder to measure clips on; stored: files of clips made beforehand; workers: processes
    that make clips; resume: go on from the checkpoint of the same task, if there is one."""

    out: Path
    recipe: Recipe
    seed: int = 0
    faces: Path | None = None
    stored: tuple[Path, ...] = ()
    workers: int = 1
    resume: bool = False
    config: StagConfig = field(default_factory=StagConfig)

    @property
    def pools(self) -> Path:
        """Folder of the clips that are made for it."""
        return self.out.with_suffix(".pools")

    def digest(self) -> str:
        """Of all that the result depends on but the code; hexadecimal. Files and faces count by their names."""
        names = [str(path) for path in (self.faces, *self.stored) if path]
        about = [asdict(self.recipe), self.seed, names, self.config.to_dict()]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def pretrain(task: Task, settings: ModelSettings, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Trains, writes the weights to `task.out` and what is to be said of them beside it, as JSON; returns the latter.

    Raises Fatal for a checkpoint of another task, for stored clips that must not be used, or a loss without end.
    """
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    device = choose_device(settings.device)
    task.out.parent.mkdir(parents=True, exist_ok=True)
    train, check = pools(task, progress)
    with torch.random.fork_rng():
        loop = Loop(Stag(task.config).to(device), task.recipe, task.seed)
        seconds = _learn(loop, task, train, progress)
        emotion, au, truth = answers(loop.average, generated.validation(check, task.recipe), device)
    chosen = choose_thresholds(au, truth[1])
    trained = Weights(task.config, loop.average.state_dict(), chosen, trained=True)
    weights.write(trained, task.out)
    about = {
        "digest": trained.digest(),
        "parameters": loop.network.parameter_count(),
        "steps": task.recipe.steps,
        "clips_seen": task.recipe.steps * task.recipe.batch,
        "training_seconds": round(seconds, 1),
        "making_seconds": round(sum(json.loads(made.read_text())["seconds"] for made in task.pools.glob("*.json")), 1),
        "hardware": hardware(device),
        "seed": task.seed,
        "recipe": asdict(task.recipe),
        "validation": scores(emotion, au, truth, chosen, task.config.classes),
        "versions": versions(),
    }
    write_json(task.out.with_suffix(".json"), about)
    _checkpoint(task).unlink(missing_ok=True)
    shutil.rmtree(task.pools)
    return about


def _learn(loop: Loop, task: Task, pools: Pools, progress: Progress) -> float:
    """Runs the loop to its end. Returns the seconds that it took, those before a kill included."""
    recipe, file = task.recipe, _checkpoint(task)
    before = _load(loop, task) if task.resume and file.exists() else 0.0
    started = time.monotonic()
    for batch in generated.training(pools, recipe, task.seed, loop.step):
        loss = loop(batch)
        if loop.step % _LOOK == 0 or loop.step == recipe.steps:
            if not torch.isfinite(loss):
                raise Fatal("training went astray: the loss is no number", step=loop.step)
            progress("training", loop.step, recipe.steps)
        if loop.step % recipe.checkpoint == 0 and loop.step < recipe.steps:
            state = loop.state_dict() | {"task": task.digest(), "seconds": before + time.monotonic() - started}
            with whole(file) as part:
                torch.save(state, part)
    return before + time.monotonic() - started


def _checkpoint(task: Task) -> Path:
    return task.out.with_suffix(".checkpoint")


def _load(loop: Loop, task: Task) -> float:
    """Puts the loop where the checkpoint left it. Returns the seconds until then."""
    file = _checkpoint(task)
    state = torch.load(file, map_location=loop.device, weights_only=True)
    if state["task"] != task.digest():
        raise Fatal("the checkpoint is of another recipe, seed or data: train without --resume", file=file.name)
    loop.load_state_dict(state)
    return float(state["seconds"])


def pools(task: Task, progress: Progress) -> tuple[Pools, Pools]:
    """What to train on and what to choose thresholds on; made now, or by the training that goes on here."""
    stills = faces.load(task.faces, "train") if task.faces else []
    stored = [clips.load([path]) for path in task.stored]
    recipe = task.recipe
    sizes: dict[Kind, tuple[int, int]] = {
        "images": (recipe.direct_images, recipe.measured_images),
        "clips": (recipe.direct_clips, recipe.measured_clips),
    }
    train: dict[Kind, list[Clips]] = {}
    check: dict[Kind, list[Clips]] = {}
    for kind, (count, measured) in sizes.items():
        train[kind] = [_pool(task, kind, "direct", count, progress)]
        check[kind] = [_pool(task, kind, "validation", recipe.validation, progress)]
        faced = [each for each in stored if (each.times.shape[1] == 1) == (kind == "images")]
        if stills:
            faced.append(_pool(task, kind, "measured", measured, progress, stills))
        if stills and kind == "clips" and recipe.scenes:
            faced.append(_pool(task, kind, "spotted", recipe.scenes, progress, stills))
        if faced:
            learned, kept = generated.divide(join(faced))
            train[kind].append(learned)
            check[kind] += [kept] if kept is not None else []
    return train, check


def _pool(
    task: Task,
    kind: Kind,
    way: Way,
    count: int,
    progress: Progress,
    stills: Sequence[Still] = (),
) -> Clips:
    """Kept beside the weights, so that a resumed training does not make it again."""
    name = f"{way}-{kind}"
    kept = task.pools / f"{name}.npz"
    if not (task.resume and kept.exists()):
        started, made = time.monotonic(), list[Clips]()
        for chunk in generated.pool(kind, way, count, task.seed, stills, task.workers):
            made.append(chunk)
            done = len(made) if way == "spotted" else min(sum(map(len, made)), count)
            progress(name.replace("-", " "), done, count)
        clips.save(kept, join(made))
        write_json(kept.with_suffix(".json"), {"seconds": time.monotonic() - started})
    return clips.load([kept])


Truth = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""[N] class, [N, A] AUs."""


@torch.inference_mode()
def answers(
    network: Stag, batches: Any, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32], Truth]:
    """Probabilities of emotion [N, C] and AUs [N, A] on all batches, and the truth."""
    emotion, au, label, acts = [], [], [], []
    batch: Batch
    for batch in batches:
        output = network(batch.to(device).clips)
        emotion.append(output.emotion.softmax(-1).cpu().numpy())
        au.append(output.au.sigmoid().cpu().numpy())
        label.append(batch.targets.emotion.numpy())
        acts.append(batch.targets.au.numpy() > 0)
    return np.concatenate(emotion), np.concatenate(au), (np.concatenate(label), np.concatenate(acts))


def choose_thresholds(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """For each AU the threshold of the best F1; the default for one that never acts. Both arrays [N, A]."""
    chosen = []
    for said, right in zip(probability.T, truth.T, strict=True):
        if not right.any():
            chosen.append(DEFAULT_THRESHOLD)
            continue
        precision, recall, at = precision_recall_curve(right, said)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        chosen.append(float(at[f1[:-1].argmax()]))
    return tuple(chosen)


def scores(
    emotion: NDArray[np.floating],
    au: NDArray[np.floating],
    truth: Truth,
    thresholds: Sequence[float],
    classes: Sequence[str],
) -> dict[str, Any]:
    """On the clips that the thresholds were chosen on, so that AU F1 flatters."""
    counts = metrics.confusion(truth[0], emotion.argmax(1), len(classes))
    known = np.ones_like(truth[1])
    found = metrics.au_f1(truth[1], known, au >= np.array(thresholds), [unit.code for unit in AUS])
    sure = metrics.calibration_error(emotion.max(1), emotion.argmax(1) == truth[0])
    return {"n": len(au), "uf1": float(metrics.uf1(counts)), "au_f1": found["mean"], "calibration_error": sure}


def hardware(device: torch.device) -> str:
    """What it ran on, for people."""
    processor = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    cores = f"{len(os.sched_getaffinity(0))} cores of {processor}"
    return f"{torch.cuda.get_device_name(device)}, {cores}" if device.type == "cuda" else cores


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text("utf-8").splitlines() if file.exists() else []


def short(recipe: Recipe, steps: int | None) -> Recipe:
    """The recipe with another number of steps, its warm-up in proportion."""
    return (
        recipe if steps is None else replace(recipe, steps=steps, warmup=max(1, recipe.warmup * steps // recipe.steps))
    )
