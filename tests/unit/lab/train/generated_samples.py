"""Generated flow images as `microex evaluate` would hand them to a recogniser."""

import numpy as np

from services.lab.recogniser import Motion, Sample
from services.lab.synth import clips
from services.lab.synth.canvas import CLEAN
from services.motion.aus import AUS
from services.motion.tensor import MotionTensor


def samples(count: int, seed: int) -> list[Sample]:
    made = clips.image_clips(np.random.default_rng(seed), count, "muscle", CLEAN)
    return [
        Sample(
            f"clip {i}",
            f"person {i % 5}",
            Motion(MotionTensor(made.motion[i, :1], made.times[i, :1], made.seen[i, :1], (0,), magnitude_known=False)),
            int(made.emotion[i]),
            made.aus[i].astype(np.float32),
            np.ones(len(AUS), bool),
        )
        for i in range(count)
    ]
