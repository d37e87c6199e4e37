"""`microex evaluate spotting` without its command line: the cores of `microex analyze` over labelled recordings."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.analyze.events import KINDS
from services.analyze.explain import Explanation
from services.analyze.files import write_json
from services.analyze.summary import versions
from services.common.settings import AnalyzeSettings, LogSettings
from services.ingest.core import Ingest
from services.lab.datasets.emotions import THREE_CLASSES
from services.lab.recordings import Recording, frames_of
from services.lab.spotting_baselines import BASELINES, Baseline
from services.lab.spotting_report import write_files
from services.lab.spotting_score import Found, Watched, score
from services.recognizer.engine import Engine
from services.spotter.constants import CONSTANTS
from services.spotter.core import Spotter
from services.spotter.detector import DETECTOR_VERSION, LOOK_BACK_S
from services.spotter.reading import Face, read

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Extras:
    """What is done beside spotting. baselines: whether they see the recordings too; explain: whether every candidate is
    written down."""

    baselines: bool = False
    explain: bool = False


HEAD_DEG: Final = 3.0
CLOSURE: Final = 0.3
LIGHT: Final = 0.04
"""From which change of yaw or pitch, opening of the eyes, mean brightness on a false alarm is put down to that."""


def evaluate_spotting(
    recordings: Sequence[Recording],
    out: Path,
    settings: AnalyzeSettings,
    progress: Progress = lambda *_: None,
    extras: Extras = Extras(),
) -> dict[str, Any]:
    """Writes the report into `out` and returns it. Recordings that an earlier run did are not watched again."""
    engine = Engine(settings)
    watched = []
    for number, recording in enumerate(recordings, 1):
        file = out / "recordings" / f"{number:04d}.json"
        question = _question(recording, settings, engine, extras)
        kept = _read(file, question)
        if kept is None:
            explained = out / "candidates" / recording.name if extras.explain else None
            kept = watch(recording, settings, engine, extras.baselines, explained)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"recording": recording.name, "question": question} | asdict(kept))
        watched.append(kept)
        progress("recordings", number, len(recordings))
    report, rows = score(recordings, watched)
    report |= {"detector": DETECTOR_VERSION, "model_trained": engine.model.trained, "versions": versions()}
    write_files(out, report, rows)
    return report


def watch(
    recording: Recording,
    settings: AnalyzeSettings,
    engine: Engine,
    baselines: bool = False,
    explained: Path | None = None,
) -> Watched:
    """Run the cores over one recording, and the baselines where that is asked for. explained: folder for what
    `analyze.explain` writes. Raises Poison when it cannot be read."""
    spotter, faces, found = Spotter(), dict[str, list[Face]](), list[Found]()
    dismissed: Counter[str] = Counter()
    tracks: dict[str, Track] = {}
    first_us: int | None = None
    last_us = 0

    def take(messages: Sequence[frame_pb2.FaceFrame]) -> None:
        for message in messages:
            face = read(message)
            if not isinstance(face, frame_pb2.End):
                faces.setdefault(message.stream.track, []).append(face)
                if baselines:
                    tracks.setdefault(message.stream.track, Track()).add(face)
            step = spotter.step(message)
            dismissed.update(step.dismissed)
            if explanation is not None:
                explanation.add(message, step)
            for window in step.windows:
                around = faces.get(window.stream.track, [])
                found.append(_found(window, step.time_us, first_us or 0, around, engine))
            if step.outcome == "end":
                faces.pop(message.stream.track, None)

    with (
        frames_of(recording) as frames,
        closing(Ingest("lab", "recording", 0, stream_pb2.TIME_BASE_MEDIA, settings)) as ingest,
        Explanation(explained) if explained else nullcontext() as explanation,
    ):
        for captured in frames:
            first_us, last_us = (captured.time_us if first_us is None else first_us), captured.time_us
            take(ingest.step(captured))
            _forget(faces, captured.time_us)
        take(ingest.finish(frame_pb2.End.REASON_SOURCE_END))
        account = ingest.account
    others = {
        name: tuple(each for track in tracks.values() for each in track.spotted(way, recording.fps, first_us or 0))
        for name, way in BASELINES.items()
    }
    seconds = (last_us - (first_us or 0)) / 1e6
    return Watched(
        seconds, account.captured, account.with_face, tuple(found), dict(dismissed), others if baselines else {}
    )


@dataclass
class Track:
    """All of one face, for what must see it whole."""

    times_us: list[int] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, face: Face) -> None:
        """One more frame."""
        self.times_us.append(face.time_us)
        self.pictures.append(face.picture)
        self.landmarks.append(face.landmarks)

    def spotted(self, way: Baseline, fps: float, first_us: int) -> list[tuple[str, float, float]]:
        """(kind, start, end) of what a baseline finds, seconds from `first_us`."""
        if len(self.times_us) < fps:
            return []
        spans = [
            ((self.times_us[a] - first_us) / 1e6, (self.times_us[b] - first_us) / 1e6)
            for a, b in way(self.pictures, self.landmarks, fps)
        ]
        return [
            ("micro" if end - start <= CONSTANTS.micro_s else "macro", start, end + 1 / fps) for start, end in spans
        ]


def _forget(faces: dict[str, list[Face]], now_us: int) -> None:
    """Memory stays flat: what is older than any window still to come goes."""
    for track in faces.values():
        while track and track[0].time_us < now_us - LOOK_BACK_S * 1e6:
            track.pop(0)


def _found(
    window: window_pb2.ApexWindow, decided_us: int, first_us: int, faces: Sequence[Face], engine: Engine
) -> Found:
    """Times from the first frame, as labels count."""
    graph = engine.recognise([window])[0] if engine.model.trained else None
    shares = {each.label: each.probability for each in graph.emotion.probabilities} if graph else {}
    onset, offset = window.onset.time_us, window.offset.time_us
    return Found(
        KINDS[window.kind],
        (onset - first_us) / 1e6,
        (window.apex.time_us - first_us) / 1e6,
        (offset - first_us) / 1e6 + 1 / window.fps,
        (decided_us - first_us) / 1e6,
        graph.emotion.label if graph else None,
        _cause([face for face in faces if onset <= face.time_us <= offset], window),
        [shares[name] for name in THREE_CLASSES] if set(shares) == set(THREE_CLASSES) else None,
        [unit.au for unit in graph.aus if unit.active] if graph else [],
    )


def _cause(faces: Sequence[Face], window: window_pb2.ApexWindow) -> str:
    """What was measured to change in those frames, the most telling first."""
    if faces:
        turn, opening = np.array([face.turn for face in faces]), np.array([face.opening for face in faces]).mean(1)
        bright = np.array([face.brightness for face in faces])
        if np.ptp(turn, axis=0).max() > HEAD_DEG:
            return "head"
        if opening.min() < (1 - CLOSURE) * np.median(opening):
            return "blink"
        if np.ptp(bright) > LIGHT * bright.mean():
            return "light"
    strongest = max(window.curves.curves, key=lambda curve: max(curve.magnitude, default=0), default=None)
    mouth = strongest is not None and strongest.region.startswith(("mouth", "lips", "chin"))
    return "mouth" if mouth else "unexplained"


@cache
def _written() -> str:
    """Of the code that spots: the detector's version stands for its thresholds and trees alone."""
    services = Path(__file__).parent.parent
    files = sorted(file for part in ("ingest", "motion", "spotter") for file in (services / part).glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _question(recording: Recording, settings: AnalyzeSettings, engine: Engine, extras: Extras) -> str:
    """What `watch` depends on; labels are not part of it."""
    size = recording.path.stat().st_size if recording.path.is_file() else len(list(recording.path.iterdir()))
    said = settings.model_dump(mode="json", exclude=set(LogSettings.model_fields))
    about = [str(recording.path.resolve()), size, recording.fps, DETECTOR_VERSION, engine.model.digest, said]
    about += [asdict(extras), _written()]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _read(file: Path, question: str) -> Watched | None:
    """What an earlier run kept of this very question; None when it is not there or not whole."""
    try:
        kept = json.loads(file.read_text("utf-8"))
        if kept["question"] != question:
            return None
        found = tuple(Found(**each) for each in kept["found"])
        others = {name: tuple(map(tuple, each)) for name, each in kept["baselines"].items()}
        return Watched(kept["seconds"], kept["frames"], kept["with_face"], found, kept["dismissed"], others)
    except (OSError, ValueError, KeyError, TypeError):
        return None
