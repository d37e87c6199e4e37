"""Valid ApexWindows for tests, as many different ones as are wanted."""

import numpy as np
from numpy.typing import NDArray

from microex.v1 import stream_pb2, window_pb2
from services.common.ids import window_id
from services.motion.rois import PATCH, ROIS
from services.motion.tensor import MotionTensor, pack

DETECTOR = "test"


def motion(
    seed: int = 0, frames: int = 8, seen: NDArray[np.bool_] | None = None, scale: float = 0.02, known: bool = True
) -> MotionTensor:
    """Smooth random motion. scale: its RMS in eye distances; seen: [K, R], default all."""
    rng = np.random.default_rng(seed)
    shape = (frames, len(ROIS), 3)
    fields = rng.normal(size=(*shape, 1, 1)) + 0.3 * rng.normal(size=(*shape, PATCH, PATCH))
    rise = np.sin(np.linspace(0.3, 2.8, frames))[:, None, None, None, None]
    fields[:, :, 2] = np.abs(fields[:, :, 2])  # strain is a length
    seen = np.ones((frames, len(ROIS)), bool) if seen is None else seen
    data = np.where(seen[:, :, None, None, None], scale * rise * fields, 0).astype(np.float16)
    times = np.linspace(-0.2, 0.2, frames).astype(np.float32) if frames > 1 else np.zeros(1, np.float32)
    return MotionTensor(data, times, seen, tuple(range(100, 100 + frames)), known)


def window(
    number: int = 0,
    *,
    session: str = "s",
    camera: str = "c",
    tensor: MotionTensor | None = None,
    frames: int = 8,
) -> window_pb2.ApexWindow:
    """A window that can be recognised. number: makes its place in the stream, its id and its motion."""
    stream = stream_pb2.StreamKey(session=session, camera=camera, track="0.0.0")
    onset = 100 + 50 * number
    moments = [stream_pb2.Moment(index=onset + step, time_us=(onset + step) * 33_333) for step in (0, 6, 12)]
    return window_pb2.ApexWindow(
        window_id=window_id(stream, onset, onset + 12, DETECTOR),
        stream=stream,
        time_base=stream_pb2.TIME_BASE_MEDIA,
        kind=window_pb2.KIND_MICRO,
        onset=moments[0],
        apex=moments[1],
        offset=moments[2],
        fps=30.0,
        detector=DETECTOR,
        motion=pack(tensor or motion(number, frames)),
        roi_centres=[float(i) for i in range(2 * len(ROIS))],
    )
