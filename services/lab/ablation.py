"""What each part of STAG is worth: the network with one part switched off after the other, several seeds each, trained
briefly on generated clips and scored on the motion style that is held out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from services.analyze.files import whole, write_json
from services.common.settings import ModelSettings
from services.lab import generated, metrics
from services.lab.generated import Pools
from services.lab.loop import Loop
from services.lab.pretrain import Task, answers, choose_thresholds, hardware, pools
from services.lab.recipe import Recipe
from services.lab.synth import clips, direct
from services.lab.synth.styles import Style
from services.motion.aus import AUS
from services.recognizer.engine import choose_device
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag

PARTS: Final = tuple(field.name for field in fields(StagConfig) if field.type in (bool, "bool"))
"""Every switch of the configuration."""

WHOLE: Final = "nothing"
"""The row in which all parts are on."""

HELD_OUT: Final[Style] = "blendshape"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """One part off. Scores of images and of clips, a number a seed."""

    off: str
    parameters: int
    uf1_images: tuple[float, ...]
    uf1_clips: tuple[float, ...]
    au_f1_images: tuple[float, ...]
    au_f1_clips: tuple[float, ...]


def ablate(
    out: Path,
    recipe: Recipe,
    seeds: Sequence[int],
    settings: ModelSettings,
    parts: Sequence[str] = PARTS,
    progress: Progress = lambda *_: None,
) -> list[Row]:
    """Writes ablation.json and ablation.md into `out`, returns the rows. Trainings that an earlier run did are kept."""
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    device = choose_device(settings.device)
    out.mkdir(parents=True, exist_ok=True)
    task = Task(out / "ablation.safetensors", recipe, resume=True, workers=generated.default_workers())
    train, check = pools(task, progress)
    held_out: Pools = {
        "images": [clips.image_clips(np.random.default_rng(1), recipe.validation, HELD_OUT)],
        "clips": [direct.clips(np.random.default_rng(2), recipe.validation, HELD_OUT)],
    }
    jobs = [(part, seed) for part in (WHOLE, *parts) for seed in seeds]
    done: dict[tuple[str, int], dict[str, Any]] = {}
    for number, (part, seed) in enumerate(jobs, 1):
        file = out / "trained" / f"{part}-{seed}.json"
        question = {"recipe": asdict(recipe), "part": part, "seed": seed}
        kept = _read(file, question)
        if kept is None:
            off: dict[str, Any] = {} if part == WHOLE else {part: False}
            config = replace(StagConfig(seed=seed), **off)
            kept = _trained(config, recipe, seed, train, check, held_out, device)
            file.parent.mkdir(exist_ok=True)
            write_json(file, {"question": question, "scores": kept})
        done[part, seed] = kept
        progress("trainings", number, len(jobs))
    rows = [_row(part, [done[part, seed] for seed in seeds]) for part in (WHOLE, *parts)]
    about = {"recipe": asdict(recipe), "seeds": list(seeds), "n": 2 * recipe.validation, "hardware": hardware(device)}
    write_json(out / "ablation.json", about | {"rows": [asdict(row) for row in rows]})
    with whole(out / "ablation.md") as file:
        file.write_text(table(rows), "utf-8")
    return rows


def table(rows: Sequence[Row]) -> str:
    """As Markdown: mean over seeds, and how much is lost against the whole network, with its standard error."""
    base = np.add(rows[0].uf1_images, rows[0].uf1_clips) / 2
    lines = ["| off | parameters | UF1 images | UF1 clips | AU F1 images | AU F1 clips | UF1 lost |", "|---" * 7 + "|"]
    for row in rows:
        means = (np.mean(scores) for scores in (row.uf1_images, row.uf1_clips, row.au_f1_images, row.au_f1_clips))
        lost = base - np.add(row.uf1_images, row.uf1_clips) / 2
        error = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else float("nan")
        change = "" if row.off == WHOLE else f"{lost.mean():+.3f} ± {error:.3f}"
        cells = " | ".join(f"{mean:.3f}" for mean in means)
        lines.append(f"| {row.off} | {row.parameters:,} | {cells} | {change} |")
    return "\n".join(lines) + "\n"


def _trained(
    config: StagConfig, recipe: Recipe, seed: int, train: Pools, check: Pools, held_out: Pools, device: torch.device
) -> dict[str, Any]:
    with torch.random.fork_rng():
        loop = Loop(Stag(config).to(device), recipe, seed)
        for batch in generated.training(train, recipe, seed, 0):
            loop(batch)
    scores: dict[str, Any] = {"parameters": loop.network.parameter_count()}
    for kind, pool in held_out.items():
        _, au, (_, acts) = answers(loop.average, generated.validation({kind: check[kind]}, recipe), device)
        thresholds = np.array(choose_thresholds(au, acts))
        emotion, au, (label, acts) = answers(loop.average, generated.validation({kind: pool}, recipe), device)
        counts = metrics.confusion(label, emotion.argmax(1), len(config.classes))
        found = metrics.au_f1(acts, np.ones_like(acts), au >= thresholds, [unit.code for unit in AUS])
        acting = [each["f1"] for each in found["aus"].values() if each["n"]]
        scores |= {f"uf1_{kind}": float(metrics.uf1(counts)), f"au_f1_{kind}": float(np.mean(acting))}
    return scores


def _row(part: str, runs: Sequence[dict[str, Any]]) -> Row:
    names = ("uf1_images", "uf1_clips", "au_f1_images", "au_f1_clips")
    return Row(part, runs[0]["parameters"], *(tuple(run[name] for run in runs) for name in names))


def _read(file: Path, question: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run kept of this very question; None when it is not there or not whole."""
    try:
        kept = json.loads(file.read_text("utf-8"))
        same = kept["question"] == json.loads(json.dumps(question))
        return dict(kept["scores"]) if same else None
    except (OSError, ValueError, KeyError):
        return None
