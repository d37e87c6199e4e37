"""A picture with something to follow everywhere."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.convention import CROP_PX


def texture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 1, (CROP_PX, CROP_PX))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX), np.uint8)
