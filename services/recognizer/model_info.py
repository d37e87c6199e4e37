"""What STAG costs, part by part: parameters, floating-point operations, latency."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from services.motion.rois import PATCH, ROIS
from services.recognizer.stag.model import Stag, StagInput

Precision = Literal["fp32", "bf16"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "bf16")

REST: Final = "rest"
"""What is no module of its own: pooling over time, the intensity head, readings of AUs from features."""

WHOLE: Final = "whole"

WARM_UP: Final = 3
REPEATS: Final = 15


@dataclass(frozen=True)
class Part:
    """One part. parameters: trained values; flops: of one forward pass (matrix products and convolutions, 2 a
    multiply-add); latency_ms: by (device, precision), the median of several passes."""

    name: str
    parameters: int
    flops: int
    latency_ms: dict[tuple[str, Precision], float] = field(default_factory=dict)


def describe(network: Stag, clips: int, frames: int, devices: tuple[str, ...]) -> list[Part]:
    """Every part of the network in the order that it runs, then the rest and the whole.

    clips, frames: B and K of the forward pass. devices: to time on. A part that runs more than once counts with all its
    runs; the whole is timed by itself, without what timing its parts costs, so the parts may sum to more.
    """
    parameters = {name: sum(each.numel() for each in part.parameters()) for name, part in network.named_children()}
    whole = network.parameter_count()
    flops = count_flops(network, example(clips, frames, "cpu"))
    names = [*parameters, REST, WHOLE]
    latency: dict[str, dict[tuple[str, Precision], float]] = {name: {} for name in names}
    for device in devices:
        placed, batch = network.to(device), example(clips, frames, device)
        for precision in PRECISIONS:
            for name, spent in measure(placed, batch, precision).items():
                latency[name][device, precision] = spent
    network.to("cpu")
    counts = parameters | {REST: whole - sum(parameters.values()), WHOLE: whole}
    return [Part(name, counts[name], flops[name], latency[name]) for name in names if counts[name] or flops[name]]


def example(clips: int, frames: int, device: str) -> StagInput:
    """Clips of random motion in which all was seen."""
    draw = torch.Generator().manual_seed(0)
    motion = 0.02 * torch.randn(clips, frames, len(ROIS), 3, PATCH, PATCH, generator=draw)
    times = torch.linspace(-0.2, 0.2, frames).expand(clips, frames)
    present = torch.ones(clips, frames, dtype=torch.bool)
    seen = present[..., None].expand(clips, frames, len(ROIS))
    return StagInput(*(values.to(device) for values in (motion, times, seen, present, present[:, 0])))


@torch.no_grad()
def count_flops(network: Stag, batch: StagInput) -> dict[str, int]:
    """Part to operations of one forward pass, with the rest and the whole."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # fused attention would not be counted
        network(batch)
    counts = {module: sum(by_kind.values()) for module, by_kind in counter.get_flop_counts().items()}
    flops: dict[str, int] = defaultdict(int)
    for name, modules in _modules(network).items():
        flops[name] = sum(counts.get(f"{type(network).__name__}.{path}", 0) for path in modules)
    total = counter.get_total_flops()
    return {**flops, REST: total - sum(flops.values()), WHOLE: total}


@torch.inference_mode()
def measure(network: Stag, batch: StagInput, precision: Precision) -> dict[str, float]:
    """Part to milliseconds of a forward pass, the median of REPEATS."""
    device = batch.motion.device.type
    runs: list[dict[str, float]] = []
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        for _ in range(WARM_UP):
            network(batch)
        whole = [_clock(lambda: network(batch), device) for _ in range(REPEATS)]
        for _ in range(REPEATS):
            with _timed_parts(network, device) as spent:
                everything = _clock(lambda: network(batch), device)
            runs.append({**spent, REST: max(everything - sum(spent.values()), 0.0)})
    return {name: _median([run[name] for run in runs]) for name in runs[0]} | {WHOLE: _median(whole)}


def _modules(network: Stag) -> dict[str, list[str]]:
    """Part to the modules that run for it: those of a list are called one by one. A part that is off has none."""
    return {
        name: [f"{name}.{i}" for i in range(len(part))] if isinstance(part, nn.ModuleList) else [name]
        for name, part in network.named_children()
    }


@contextmanager
def _timed_parts(network: Stag, device: str) -> Iterator[dict[str, float]]:
    """Fills part to milliseconds while it is open."""
    spent = dict.fromkeys(_modules(network), 0.0)
    started: list[float] = []
    handles = []

    def begin(*_: object) -> None:
        started.append(_now(device))

    def end(name: str) -> Callable[..., None]:
        def note(*_: object) -> None:
            spent[name] += 1e3 * (_now(device) - started.pop())

        return note

    for name, paths in _modules(network).items():
        for path in paths:
            module = network.get_submodule(path)
            handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end(name))]
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def _clock(work: Callable[[], object], device: str) -> float:
    """Milliseconds."""
    start = _now(device)
    work()
    return 1e3 * (_now(device) - start)


def _now(device: str) -> float:
    """Seconds; what was given to a GPU before is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _median(values: list[float]) -> float:
    return float(Tensor(values).median())
