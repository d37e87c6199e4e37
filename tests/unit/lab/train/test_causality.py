"""What an explanation calls important must matter, in the weights that ship."""

from collections.abc import Callable

import numpy as np
import torch

from services.lab.causality import effects
from services.lab.synth import direct
from services.lab.targets import of_generated
from services.recognizer import weights


def test_hiding_what_is_called_important_changes_more(record_property: Callable[[str, object], None]) -> None:
    """On a motion style that training never saw."""
    network = weights.load(None).network()
    clips = of_generated(direct.clips(np.random.default_rng(11), 256, "blendshape")).to(torch.device("cpu")).clips
    for name, effect in effects(network, clips).items():
        record_property(name, f"{effect.ratio:.1f} times as much: {effect.high:.3f} against {effect.low:.3f}")
        assert effect.ratio > 1.5, f"{name}: hiding the highest moves {effect.high:.3f}, the lowest {effect.low:.3f}"
