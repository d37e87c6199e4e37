"""Why a candidate is no expression."""

from typing import Literal

Reason = Literal[
    "noise", "gap", "head", "speech", "blink", "drift", "no_return", "occlusion", "light", "jump", "weak", "short",
    "shape", "part",
]  # fmt: skip
"""noise: no larger than what its channels do anyway. gap: frames are missing. head: the head turned. speech: a talking
mouth moved. blink: nothing moved but in step with the lids. drift: it came too slowly. no_return: it did not go back to
neutral. occlusion: something came before the face. light: the light changed. jump: the crop did. weak: too little
moved. short: over sooner than a muscle can. shape: no action unit moves a face like that, or not in one rise and fall.
part: it belongs to an expression that was found already.
"""
