"""From an expression to the message that the recognizer reads: motion since the onset, curves, the apex crop."""

from typing import Final

import numpy as np

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.common.ids import window_id
from services.motion.patches import FaceMotion
from services.motion.rois import REGIONS, ROIS, roi_centres
from services.motion.tensor import MotionTensor, pack
from services.spotter.constants import CONSTANTS as C
from services.spotter.constants import DETECTOR_VERSION
from services.spotter.curve import middle
from services.spotter.judge import Expression
from services.spotter.rows import SECOND, Rows
from services.spotter.select import select

_RECENT: Final = 9
"""Frames whose distance tells where those to come will be."""


def build(
    rows: Rows, found: Expression, message: frame_pb2.FaceFrame, time_base: "stream_pb2.TimeBase.ValueType"
) -> window_pb2.ApexWindow:
    """rows: those that the expression was found in; message: the one that decided it."""
    times = rows.table["time_us"]
    onset, apex = _moment(rows, found.onset_us), _moment(rows, found.apex_us)
    offset = _moment(rows, found.offset_us)
    at_apex = rows.kept[int(np.searchsorted(times, found.apex_us))]
    seconds = (found.offset_us - found.onset_us) / SECOND
    around = rows.since(found.onset_us - int(C.neutral_s * SECOND), found.offset_us + int(C.neutral_s * SECOND))
    return window_pb2.ApexWindow(
        window_id=window_id(message.stream, onset.index, offset.index, DETECTOR_VERSION),
        stream=message.stream,
        time_base=time_base,
        kind=window_pb2.KIND_MICRO if seconds <= C.micro_s else window_pb2.KIND_MACRO,
        onset=onset,
        apex=apex,
        offset=offset,
        fps=SECOND / float(middle(np.diff(times[around]))),
        detector=DETECTOR_VERSION,
        curves=window_pb2.Curves(
            time_us=found.times_us.tolist(),
            curves=[window_pb2.Curve(region=name, magnitude=found.magnitude[:, i]) for i, name in enumerate(REGIONS)],
        ),
        motion=pack(_tensor(rows, found)),
        apex_jpeg=at_apex.jpeg,
        roi_centres=roi_centres(at_apex.landmarks).ravel().tolist(),
        stages=stream_pb2.StageTimes(captured_us=message.stages.captured_us, published_us=message.stages.published_us),
    )


def _moment(rows: Rows, time_us: int) -> stream_pb2.Moment:
    """The frame at that time; ahead of the newest one, the frame that will be there if frames go on as they did."""
    times, indices = rows.table["time_us"], rows.table["index"]
    at = int(np.searchsorted(times, time_us))
    if at < len(times):
        return stream_pb2.Moment(index=int(indices[at]), time_us=int(times[at]))
    recent = slice(-_RECENT, None)  # the rate may have changed
    frame_us = np.ptp(times[recent]) / np.ptp(indices[recent])
    return stream_pb2.Moment(index=int(indices[-1]) + round((time_us - int(times[-1])) / frame_us), time_us=time_us)


def _tensor(rows: Rows, found: Expression) -> MotionTensor:
    """Fine flow from the onset to the selected frames, head removed, in every ROI."""
    inside = (found.times_us >= found.onset_us) & (found.times_us <= found.offset_us)
    times_us, strength = found.times_us[inside], found.strength[inside]
    apex = int(np.searchsorted(times_us, found.apex_us))
    chosen = times_us[select(strength, apex, C.selected)]
    frames = [int(at) for at in np.searchsorted(rows.table["time_us"], chosen)]
    onset = rows.kept[int(np.searchsorted(rows.table["time_us"], found.onset_us))]
    motion = FaceMotion(onset.picture, onset.landmarks)
    data = np.stack([motion(rows.kept[at].picture)[1] for at in frames])
    return MotionTensor(
        data=data,
        times=((chosen - found.apex_us) / SECOND).astype(np.float32),
        seen=np.broadcast_to(motion.seen, (len(frames), len(ROIS))),
        indices=tuple(int(rows.table["index"][at]) for at in frames),
    )
