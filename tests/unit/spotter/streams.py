"""Streams of face frames for the detector: real ones, looped, and real faces on which movements are planted."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.motion.convention import CROP_PX, JPEG_QUALITY
from services.spotter.detector import Detector, Step
from tests.unit.spotter.planting import Plant, action_field, warp

FaceFrame = frame_pb2.FaceFrame
Disturb = Callable[[int, NDArray[np.uint8], NDArray[np.float32]], tuple[NDArray[np.uint8], NDArray[np.float32]]]


def picture_of(message: FaceFrame) -> NDArray[np.uint8]:
    raw = np.frombuffer(message.frame.crop_jpeg, np.uint8)
    return np.asarray(cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE), np.uint8)


def landmarks_of(message: FaceFrame) -> NDArray[np.float32]:
    return np.frombuffer(message.frame.landmarks, "<f4").reshape(-1, 2).copy()


def message(index: int, time_us: int, picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> FaceFrame:
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return FaceFrame(
        stream=stream_pb2.StreamKey(session="s", camera="c", track="0.0.0"),
        sequence=index,
        frame=frame_pb2.Frame(
            moment=stream_pb2.Moment(index=index, time_us=time_us),
            time_base=stream_pb2.TIME_BASE_MEDIA,
            crop_jpeg=jpeg,
            crop_px=CROP_PX,
            landmarks=landmarks.astype("<f4").tobytes(),
        ),
    )


def planted(
    base: FaceFrame, seconds: float, fps: float, plants: Sequence[Plant], disturb: Disturb | None = None, seed: int = 0
) -> list[FaceFrame]:
    """A still face with movements planted into it, under jitter of the crop, sensor noise and JPEG."""
    picture, landmarks, rng = picture_of(base), landmarks_of(base), np.random.default_rng(seed)
    frames = []
    for k in range(round(seconds * fps)):
        field = np.zeros((CROP_PX, CROP_PX, 2), np.float32)
        for plant in plants:
            if plant.onset <= k <= plant.offset:
                field += action_field(plant.action, landmarks, plant.course(k))
        crop, points = warp(picture, field) if field.any() else picture, landmarks
        if disturb is not None:
            crop, points = disturb(k, crop, points)
        crop, points = moved(crop, points, rng.normal(0, 0.15, 2), rng.normal(0, 0.001), 1 + rng.normal(0, 0.001))
        crop = np.clip(crop + rng.normal(0, 1.5, crop.shape), 0, 255).astype(np.uint8)
        points = (points + rng.normal(0, 0.08, points.shape)).astype(np.float32)
        frames.append(message(k, round(k * 1e6 / fps), crop, points))
    return frames


def moved(
    picture: NDArray[np.uint8], landmarks: NDArray[np.float32], shift: NDArray[np.float64], turn: float, zoom: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture and landmarks under a similarity about the middle of the crop."""
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    affine = np.array([[c, -s, 0], [s, c, 0]])
    middle = np.full(2, CROP_PX / 2)
    affine[:, 2] = middle - affine[:, :2] @ middle + shift
    size = (CROP_PX, CROP_PX)
    crop = cv2.warpAffine(picture, affine, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8), (landmarks @ affine[:, :2].T + affine[:, 2]).astype(np.float32)


def looped(frames: Sequence[FaceFrame], times: int) -> list[FaceFrame]:
    """The same frames again and again, index and time running on."""
    step_us = frames[1].frame.moment.time_us - frames[0].frame.moment.time_us
    out = []
    for k in range(len(frames) * times):
        copy = FaceFrame()
        copy.CopyFrom(frames[k % len(frames)])
        copy.sequence = k
        copy.frame.moment.index, copy.frame.moment.time_us = k, k * step_us
        out.append(copy)
    return out


def run(frames: Sequence[FaceFrame], whole: bool = True) -> list[Step]:
    detector = Detector(whole)
    return [detector.step(frame) for frame in frames]


def windows(steps: Sequence[Step]) -> list[window_pb2.ApexWindow]:
    return [window for step in steps for window in step.windows]


def end(frames: Sequence[FaceFrame]) -> FaceFrame:
    last = frames[-1]
    return FaceFrame(
        stream=last.stream,
        sequence=last.sequence + 1,
        end=frame_pb2.End(reason=frame_pb2.End.REASON_SOURCE_END, last_seen=last.frame.moment),
    )
