"""Detectors of any number of streams, kept apart by stream key: what one process without a broker uses."""

import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2
from services.common.ids import stream_key
from services.spotter.detector import Detector, Step


class Spotter:
    """One detector a stream; a stream's detector goes when the stream ends."""

    def __init__(self) -> None:
        self._detectors: dict[str, Detector] = {}

    def step(self, message: frame_pb2.FaceFrame) -> Step:
        """Hands a message to its stream's detector. Raises Poison for one that cannot be read."""
        key = stream_key(message.stream)
        detector = self._detectors.get(key) or Detector(whole=message.sequence == 0)
        step = detector.step(message)
        self._detectors[key] = detector
        if step.outcome == "end":
            del self._detectors[key]
        return step

    def magnitudes(self, stream: stream_pb2.StreamKey) -> NDArray[np.float32]:
        """Motion of each region of a face in the last frame that was analysed, [regions] float32, outer-eye distances.
        Raises KeyError for a stream that has ended."""
        return self._detectors[stream_key(stream)].magnitudes()
