"""One camera: everything that is known of one source, from its frames to what was found."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.detections import AUS, CONFIDENCE, EACH, EXPRESSIONS, FOUND, LATEST, SHARE
from deploy.grafana.parts import (
    CAMERAS,
    board,
    fresh,
    lines,
    map_over_time,
    median_and,
    number,
    per_second,
    row,
)

FPS: Final = ("cps", "frames a second")
INGEST: Final = "microex_ingest_"
SPOTTER: Final = "microex_spotter_"


def camera() -> dashboard.Dashboard:
    """The dashboard."""
    built = board("microex-camera", "One camera", "One source, from its frames to what was found.", "camera")
    captured = f"{INGEST}frames_captured_total{{{CAMERAS}}}"
    row(
        built,
        "Now",
        number(
            "Connected",
            "Whether frames can come.",
            ("none", "yes or no"),
            f"max({INGEST}connected{{{CAMERAS}}})",
            4,
            {"0": ("no", "red"), "1": ("yes", "green")},
        ),
        number("Frame rate", "Frames captured, mean of five minutes.", FPS, f"sum(rate({captured}[5m]))"),
        number("Expressions", "Found in the time shown.", EXPRESSIONS, fresh(FOUND, "", "$__range")),
        number(
            "Latest", "When the latest expression was found.", ("dateTimeFromNow", "time ago"), f"1000 * max({LATEST})"
        ),
        number(
            "Opened again",
            "Times that a live source broke off, in the time shown.",
            ("short", "times"),
            fresh(f"{INGEST}reconnects_total{{{CAMERAS}}}", "", "$__range"),
        ),
        number(
            "Failures",
            "Runs that failed, in the time shown.",
            ("short", "runs"),
            fresh(f"{INGEST}failures_total{{{CAMERAS}}}", "", "$__range"),
        ),
    )
    row(
        built,
        "Found",
        lines(
            "By kind and emotion",
            "Expressions found.",
            EACH,
            (fresh(FOUND, "kind, emotion"), "{{kind}} {{emotion}}"),
            bars=True,
        ),
        lines(
            "Confidence",
            "Probability of the emotion that was named.",
            SHARE,
            *median_and(0.1, "lowest tenth", CONFIDENCE, CAMERAS),
            most=1,
        ),
        map_over_time(
            "Action units",
            "How often each was active in what was found.",
            ("short", "activations in each interval"),
            (fresh(AUS, "au"), "{{au}}"),
        ),
    )
    row(
        built,
        "Frames",
        lines(
            "Captured",
            "Frames with a face, without one, and dropped: they add up to those captured.",
            FPS,
            (per_second(captured, "camera"), "captured"),
            (per_second(f"{INGEST}frames_with_face_total{{{CAMERAS}}}", "camera"), "with a face"),
            (per_second(f"{INGEST}frames_without_face_total{{{CAMERAS}}}", "camera"), "without"),
            (per_second(f"{INGEST}frames_dropped_total{{{CAMERAS}}}", "reason"), "dropped: {{reason}}"),
        ),
        lines(
            "Faces",
            "Faces published, and those not good enough by reason: they add up to those seen.",
            ("cps", "faces a second"),
            (per_second(f"{INGEST}faces_seen_total{{{CAMERAS}}}", "camera"), "seen"),
            (per_second(f"{INGEST}faces_published_total{{{CAMERAS}}}", "camera"), "published"),
            (per_second(f"{INGEST}faces_dropped_total{{{CAMERAS}}}", "reason"), "dropped: {{reason}}"),
        ),
        lines(
            "In the spotter",
            "Face frames by what became of them; `repeat` after a restart is as it should be.",
            FPS,
            (per_second(f"{SPOTTER}frames_total{{{CAMERAS}}}", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Windows",
            "Movements that were handed to the recognizer.",
            EACH,
            (fresh(f"{SPOTTER}windows_total{{{CAMERAS}}}", "kind"), "{{kind}}"),
            bars=True,
        ),
        lines(
            "Streams ended",
            "Tracks of a face that ended, by reason.",
            ("short", "streams in each interval"),
            (fresh(f"{INGEST}streams_ended_total{{{CAMERAS}}}", "reason"), "{{reason}}"),
            bars=True,
        ),
        lines(
            "To Kafka",
            "Messages that Kafka acknowledged and refused.",
            ("cps", "messages a second"),
            (per_second(f"{INGEST}messages_total{{{CAMERAS}}}", "outcome"), "{{outcome}}"),
        ),
    )
    return built
