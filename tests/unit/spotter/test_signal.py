"""Positions run on when the reference changes, once a second: a step would hide what is small or pass for it."""

import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2
from services.lab.replant import Replay

AROUND = 5
"""Frames that a step is the mean of on either side: the noise of one would hide it."""


def steps(position: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
    """How far each ROI moves from just before to just after those frames."""
    return np.array([np.abs(position[k : k + AROUND].mean(0) - position[k - AROUND : k].mean(0)) for k in at])


def test_a_new_reference_makes_no_step(conversation: list[frame_pb2.FaceFrame]) -> None:
    sights = Replay(whole=True).see(conversation)
    position, changed, carried = [], [], np.zeros_like(sights[0].row["position"], np.float64)
    for k, sight in enumerate(sights):
        if sight.carried is not None:
            changed.append(k)
            carried += sight.carried[0]
        position.append(sight.row["position"] - carried)  # as the first reference would have seen it
    assert len(changed) == 9, "one a second"
    inner = np.arange(AROUND, len(sights) - AROUND)
    usual = inner[np.abs(inner[:, None] - changed).min(1) >= AROUND]
    whole = np.array(position)
    assert steps(whole, np.array(changed)).mean() < 1.4 * steps(whole, usual).mean()
