"""One step of training after the other, the same for generated and for real clips.

All chance of step n comes from (seed, n), so a training that was killed and resumed is the training that was not.
"""

import math
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from services.lab.augment import augment, mixed
from services.lab.recipe import Recipe
from services.lab.targets import Batch, Targets
from services.recognizer.stag.loss import focal_binary_loss, focal_loss
from services.recognizer.stag.model import Stag, StagInput, StagOutput


class Loop:
    """A network in training.

    network: changed in place; average: its weights averaged over steps, what answers; step: how many were done.
    """

    def __init__(self, network: Stag, recipe: Recipe, seed: int, class_weight: Tensor | None = None) -> None:
        """class_weight: [C] in the loss of emotion, on the network's device (default alike)."""
        self.network, self.average = network.train(), deepcopy(network).eval()
        self.recipe, self._seed, self._class_weight, self.step = recipe, seed, class_weight, 0
        self.device = next(network.parameters()).device
        if recipe.dropout is not None:
            for module in network.modules():
                if isinstance(module, nn.Dropout):
                    module.p = recipe.dropout
        self._optimiser = torch.optim.AdamW(_groups(network, recipe), fused=True)

    def __call__(self, batch: Batch) -> Tensor:
        """Learn from one batch. Returns its loss, a scalar on the device."""
        recipe = self.recipe
        torch.manual_seed(seed_of(self._seed, self.step))
        clips, targets = batch = augment(batch.to(self.device), recipe.augmentation)
        other, share = targets, 1.0
        if recipe.augmentation.mixup:
            clips, other, share = mixed(batch, recipe.augmentation.mixup)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            output = self.network(clips)
        output = StagOutput(*(values.float() for values in output))
        loss = share * objective(output, clips, targets, recipe, self._class_weight)
        if share < 1:
            loss = loss + (1 - share) * objective(output, clips, other, recipe, self._class_weight)
        self._update(loss)
        return loss.detach()

    def _update(self, loss: Tensor) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = group["share"] * rate_at(self.step, self.recipe)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self._optimiser.step()
        self.step += 1
        keep = min(self.recipe.ema, self.step / (self.step + 10))  # what it began with is soon forgotten
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The reverse."""
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])


def objective(
    output: StagOutput, clips: StagInput, targets: Targets, recipe: Recipe, class_weight: Tensor | None = None
) -> Tensor:
    """Sum of the weighted losses, a scalar.

    Intensity is learned where an AU acts: each side where the magnitude is known, else only left against right.
    """
    emotion = focal_loss(output.emotion, targets.emotion, alpha=class_weight)
    au = focal_binary_loss(output.au, targets.au, mask=targets.au_known)
    each = targets.au[:, None].expand_as(output.frame_au)
    shown = targets.au_known[:, None] & (clips.present & clips.seen.any(-1))[..., None]
    frame_au = focal_binary_loss(output.frame_au, each, mask=shown)
    acts = (targets.au > 0) & targets.intensity_known[:, None]  # [B, A]
    size = (output.intensity - targets.intensity).abs().mean(-1)
    side = (_left(output.intensity) - _left(targets.intensity)).abs()
    error = torch.where(clips.magnitude_known[:, None], size, side)
    intensity = (error * acts).sum() / acts.sum().clamp_min(1)
    return recipe.emotion * emotion + recipe.au * au + recipe.frame_au * frame_au + recipe.intensity * intensity


def _left(intensity: Tensor) -> Tensor:
    """[..., 2] to the left side's share [...]."""
    return intensity[..., 0] / intensity.sum(-1).clamp_min(1e-3)


def rate_at(step: int, recipe: Recipe) -> float:
    """Learning rate of a step: up in a line, then down in half a cosine (Loshchilov & Hutter, "SGDR", ICLR 2017)."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    return recipe.rate * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def seed_of(seed: int, *path: int) -> int:
    """A seed for one thing of many: 64 bits that depend on all numbers."""
    return int(np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)[0])


def _groups(network: Stag, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by rate (the encoder's its own) and decay (matrices only)."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((name.startswith("encoder."), parameter.dim() > 1), []).append(parameter)
    return [
        {
            "params": params,
            "lr": recipe.rate,
            "share": recipe.encoder_rate if encoder else 1.0,
            "weight_decay": recipe.decay if matrix else 0.0,
        }
        for (encoder, matrix), params in groups.items()
    ]
