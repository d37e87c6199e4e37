"""Detections: what was found, when, where, and how far it can be trusted."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.parts import (
    CAMERAS,
    NAMESPACE,
    board,
    fresh,
    lines,
    listing,
    map_over_time,
    median_and,
    number,
    per_second,
    quantile,
    ranking,
    row,
)

FOUND: Final = f"microex_recognizer_detections_total{{{CAMERAS}}}"
MICRO: Final = f'microex_recognizer_detections_total{{{CAMERAS}, kind="micro"}}'
MACRO: Final = f'microex_recognizer_detections_total{{{CAMERAS}, kind="macro"}}'
AUS: Final = f"microex_recognizer_au_activations_total{{{CAMERAS}}}"
CONFIDENCE: Final = "microex_recognizer_emotion_confidence_ratio"
LATEST: Final = f"microex_recognizer_latest_detection_timestamp_seconds{{{CAMERAS}}}"

EXPRESSIONS: Final = ("short", "expressions")
EACH: Final = ("short", "expressions in each interval")
SHARE: Final = ("percentunit", "share, 0 to 1 shown as %")
A_MINUTE: Final = "(%s) / 5"
"""Of what grew by so much in five minutes."""
TO_CAMERA: Final = (
    "/d/microex-camera?var-namespace=${__data.fields.namespace}&var-session=${__data.fields.session}"
    "&var-camera=${__data.fields.camera}"
)

TRAINED: Final = f'microex_recognizer_model_info{{{NAMESPACE}, trained="true"}}'
ANY: Final = f"microex_recognizer_model_info{{{NAMESPACE}}}"
UNTRAINED: Final = {"0": ("untrained: emotions and AUs mean nothing", "red"), "1": ("trained", "green")}


def detections() -> dashboard.Dashboard:
    """The dashboard."""
    built = board(
        "microex-detections",
        "Detections",
        "Micro- and macro-expressions by emotion, action unit and camera. A movement of the face is no evidence of "
        "what somebody thinks or intends.",
        "cameras",
    )
    row(
        built,
        "Found in the time shown",
        number("Micro-expressions", "Movements of at most half a second.", EXPRESSIONS, fresh(MICRO, "", "$__range")),
        number("Macro-expressions", "Longer movements.", EXPRESSIONS, fresh(MACRO, "", "$__range")),
        number(
            "Rate",
            "Expressions found, over the last five minutes.",
            ("short", "expressions a minute"),
            A_MINUTE % fresh(FOUND, "", "5m"),
        ),
        number(
            "Confidence",
            "Median probability of the emotions that were named.",
            SHARE,
            quantile(0.5, CONFIDENCE, CAMERAS, span="$__range"),
        ),
        number(
            "Model",
            "Whether the weights that answer were trained.",
            ("none", "none"),
            f"min({TRAINED}) or 0 * max({ANY})",
            8,
            UNTRAINED,
        ),
    )
    row(
        built,
        "Over time",
        lines("By kind", "Micro- and macro-expressions found.", EACH, (fresh(FOUND, "kind"), "{{kind}}"), bars=True),
        lines(
            "By emotion",
            "Expressions found by the emotion that was named; see confidence below.",
            EACH,
            (fresh(FOUND, "emotion"), "{{emotion}}"),
            bars=True,
        ),
        map_over_time(
            "Action units",
            "How often each action unit was active in what was found.",
            ("short", "activations in each interval"),
            (fresh(AUS, "au"), "{{au}}"),
        ),
        lines(
            "By camera",
            "Expressions found by each camera.",
            EACH,
            (fresh(FOUND, "session, camera"), "{{session}} {{camera}}"),
            bars=True,
        ),
        lines(
            "Rate over time",
            "Expressions found, mean of five minutes.",
            ("short", "expressions a minute"),
            (A_MINUTE % fresh(FOUND, "kind", "5m"), "{{kind}}"),
        ),
        ranking(
            "Action units in all",
            "How often each was active in the time shown.",
            ("short", "activations"),
            (f"sort_desc({fresh(AUS, 'au', '$__range')})", "{{au}}"),
        ),
        listing(
            "Latest by camera",
            "When each camera's latest expression was found; a line leads to its camera.",
            ("dateTimeFromNow", "time ago"),
            f"1000 * max by (namespace, session, camera) ({LATEST})",
            TO_CAMERA,
        ),
    )
    trust(built)
    return built


def trust(built: dashboard.Dashboard) -> None:
    """The row that keeps noise from being read as truth."""
    ingest = "microex_ingest_"
    row(
        built,
        "How far it can be trusted",
        lines(
            "Confidence over time",
            "Probability of the emotion that was named: half lie below the median, a tenth below the lower "
            "line. Near 1 / number of emotions the model guesses.",
            SHARE,
            *median_and(0.1, "lowest tenth", CONFIDENCE, CAMERAS),
            most=1,
        ),
        lines(
            "Usable picture",
            "Frames with a face among those captured, and faces good enough among those seen. What is "
            "found while these are low says little.",
            SHARE,
            (
                f"{per_second(f'{ingest}frames_with_face_total{{{CAMERAS}}}', 'session, camera')} / "
                f"{per_second(f'{ingest}frames_captured_total{{{CAMERAS}}}', 'session, camera')}",
                "with a face: {{session}} {{camera}}",
            ),
            (
                f"{per_second(f'{ingest}faces_published_total{{{CAMERAS}}}', 'session, camera')} / "
                f"{per_second(f'{ingest}faces_seen_total{{{CAMERAS}}}', 'session, camera')}",
                "good enough: {{session}} {{camera}}",
            ),
            most=1,
        ),
        lines(
            "Faces not good enough",
            "Faces dropped because of pose, blur or size.",
            ("cps", "faces a second"),
            (per_second(f"{ingest}faces_dropped_total{{{CAMERAS}}}", "reason"), "{{reason}}"),
            width=8,
        ),
        lines(
            "Movements that are no expression",
            "Candidates that the spotter looked at and rejected, by reason (of all cameras of the namespace).",
            ("short", "movements in each interval"),
            (fresh(f"microex_spotter_dismissed_total{{{NAMESPACE}}}", "reason"), "{{reason}}"),
            width=8,
            bars=True,
        ),
        lines(
            "Frames that the spotter rejected",
            "Face frames that could not be analysed, by reason (of all cameras of the namespace).",
            ("cps", "frames a second"),
            (per_second(f"microex_spotter_rejected_total{{{NAMESPACE}}}", "reason"), "{{reason}}"),
            width=8,
        ),
    )
