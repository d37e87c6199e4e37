"""Labelled clips a second on one core, each way of making them, beside what a network takes to learn from them.

python -m bench.synth [FACES]
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from services.lab.loop import Loop
from services.lab.recipe import GENERATED
from services.lab.synth import clips, direct, faces, flow_images, measured, tracks
from services.lab.synth.algorithms import ALGORITHMS
from services.lab.synth.batch import Clips
from services.lab.synth.render import sheets_of
from services.lab.synth.scene import Mover
from services.lab.targets import of_generated
from services.recognizer.stag.model import Stag


def rate(make: Callable[[], int]) -> float:
    """Clips a second of processor time; the first call only warms up."""
    make()
    start = time.process_time()
    return make() / (time.process_time() - start)


def learning(made: Clips) -> float:
    """Clips a second that a step of training takes."""
    loop, batch = Loop(Stag(), GENERATED, 0), of_generated(made)
    return rate(lambda: len([loop(batch) for _ in range(2)]) * len(made))


@click.command(help=__doc__.partition("\n")[0])
@click.argument(
    "folder", metavar="[FACES]", required=False, type=click.Path(exists=True, path_type=Path, file_okay=False)
)
def main(folder: Path | None) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    still = faces.load(folder)[0]
    mover, strength = Mover(sheets_of(still), "muscle"), tracks.strengths(0.5)
    images, whole = clips.image_clips(rng, 96, "muscle"), direct.clips(rng, 96, "muscle")
    learn = {"images": learning(images), "clips": learning(whole)}
    ways: list[tuple[str, str, Callable[[], int]]] = [
        ("images from AU fields", "images", lambda: len(clips.image_clips(rng, 96, "muscle"))),
        ("clips from AU fields", "clips", lambda: len(direct.clips(rng, 96, "muscle"))),
        ("images measured on a face, all algorithms in turn", "images",
         lambda: len(flow_images.measured_clips(rng, 9, still, mover, "muscle", strength))),
        *((f"clips measured on a face, {name}", "clips",
           lambda name=name: len(measured.clips(rng, 2, [still], {still.identity: mover}, "muscle", strength, [name])))
          for name in ALGORITHMS),
    ]  # fmt: skip
    print("| | a second and core | times the time to learn from one |\n|---|---|---|")
    for title, kind, make in ways:
        made = rate(make)
        print(f"| {title} | {made:.1f} | {learn[kind] / made:.1f} |")


if __name__ == "__main__":
    main()
