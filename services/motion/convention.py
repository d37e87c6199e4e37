"""The canonical crop: how large it is, where the eyes lie in it, and how landmarks are numbered.

Every length that leaves the project is in outer-eye distances (the distance of the outer eye corners, about 9 cm
in an adult), so that cameras of any size agree. In the canonical crop that distance is `EYE_DISTANCE_PX`.

Left and right are the subject's own; the subject's right is at the picture's left.
"""

from typing import Final

CROP_PX: Final = 128
"""Side of the square crop, pixels."""

EYE_DISTANCE_PX: Final = 64.0
"""Distance of the outer eye corners in the crop, pixels."""

EYE_CENTRE: Final = (64.0, 34.0)
"""Middle of the outer eye corners in the crop, (x, y) pixels: room for the raised brow above, the chin below."""

LANDMARKS: Final = 478
"""Points of MediaPipe's face mesh with irises; the numbering is that of its canonical face model."""

NUM_FACES: Final = 4
"""Faces a landmarker looks for. With 1 it smooths over time and its answers depend on all earlier frames; with 2 and
more every frame stands alone. Part of the detector's version, because it changes what is found."""

JPEG_QUALITY: Final = 95
"""Quality at which crops are stored. Flow is measured on what this leaves, never on the original."""

RIGHT_EYE_OUTER: Final = 33
LEFT_EYE_OUTER: Final = 263
RIGHT_EYE_INNER: Final = 133
LEFT_EYE_INNER: Final = 362
NOSE_BRIDGE: Final = (168, 6, 197)
"""Landmarks on bone that no facial muscle of ours moves much."""

STABLE: Final = (RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER, *NOSE_BRIDGE)
"""Landmarks that alignment rests on: eye corners and nose bridge."""

VERSION: Final = "1"
"""Goes up whenever the crop, the ROI table or the sampling of patches changes; windows carry it."""
