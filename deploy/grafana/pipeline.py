"""Pipeline: whether every frame arrives, how far behind the services are, and what they need."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.detections import SHARE
from deploy.grafana.parts import NAMESPACE, board, fresh, lines, median_and, number, per_second, quantile, row

FPS: Final = ("cps", "frames a second")
SECONDS: Final = ("s", "seconds")
WINDOWS: Final = ("short", "windows")
RECOGNIZER: Final = "microex_recognizer_"
SPOTTER: Final = "microex_spotter_"
INGEST: Final = "microex_ingest_"
JOBS: Final = f'{NAMESPACE}, job=~"microex-.+"'
GPU: Final = 'exported_namespace=~"$namespace"'


def pipeline() -> dashboard.Dashboard:
    """The dashboard."""
    built = board(
        "microex-pipeline",
        "Pipeline",
        "Frames captured, published and dropped; lag, latency by stage, batches, cache, dead letters, processes.",
        "cluster",
    )
    frames(built)
    delays(built)
    model(built)
    processes(built)
    return built


def frames(built: dashboard.Dashboard) -> None:
    """What comes in, and what of it goes on."""
    row(
        built,
        "Frames",
        number(
            "Cameras",
            "Cameras from which frames can come, of all that are configured.",
            ("short", "cameras"),
            f"sum({INGEST}connected{{{NAMESPACE}}})",
        ),
        number(
            "Silent cameras",
            "Cameras from which none can come.",
            ("short", "cameras"),
            f"count({INGEST}connected{{{NAMESPACE}}} == 0) or 0 * count({INGEST}connected{{{NAMESPACE}}})",
        ),
        number(
            "Streams", "Faces that the spotters follow.", ("short", "streams"), f"sum({SPOTTER}streams{{{NAMESPACE}}})"
        ),
        number(
            "Lag",
            "Messages that spotters and recognizers have not read yet.",
            ("short", "messages"),
            f"sum(microex:lag_messages:sum{{{NAMESPACE}}})",
        ),
        number(
            "Dead letters",
            "Records put aside as unreadable in the time shown.",
            ("short", "records"),
            dead_letters("$__range"),
        ),
        number(
            "Unaccounted frames",
            "Captured, but neither with a face nor without nor dropped; has to be 0.",
            ("short", "frames"),
            unaccounted(),
        ),
        lines(
            "Captured and published",
            "Frames that the cameras gave, and faces that went to Kafka.",
            FPS,
            (per_second(f"{INGEST}frames_captured_total{{{NAMESPACE}}}", "namespace"), "captured {{namespace}}"),
            (per_second(f"{INGEST}faces_published_total{{{NAMESPACE}}}", "namespace"), "faces published {{namespace}}"),
            (per_second(f"{SPOTTER}frames_total{{{NAMESPACE}}}", "outcome"), "spotter: {{outcome}}"),
        ),
        lines(
            "Dropped",
            "Frames that were never looked at, by reason; `behind`: the machine is too slow for its cameras.",
            FPS,
            (per_second(f"{INGEST}frames_dropped_total{{{NAMESPACE}}}", "reason"), "{{reason}}"),
        ),
        lines(
            "Share dropped by camera",
            "Frames dropped among those captured, mean of five minutes.",
            SHARE,
            (f"microex:frames_dropped:ratio_rate5m{{{NAMESPACE}}}", "{{session}} {{camera}}"),
        ),
        lines(
            "Waiting for the landmarker",
            "Frames held between camera and landmarker; live cameras drop at the limit.",
            ("short", "frames"),
            (f"{INGEST}held_frames{{{NAMESPACE}}}", "{{session}} {{camera}}"),
        ),
    )


def dead_letters(span: str) -> str:
    """New dead letters of both services."""
    spotter = f"{SPOTTER}dead_letters_total{{{NAMESPACE}}}"
    recognizer = f'{RECOGNIZER}windows_total{{{NAMESPACE}, outcome="dead_letter"}}'
    return f"{fresh(spotter, '', span)} + {fresh(recognizer, '', span)}"


def unaccounted() -> str:
    """Frames whose fate is unknown."""
    total = {
        name: f"sum({INGEST}frames_{name}_total{{{NAMESPACE}}})" for name in ("captured", "with_face", "without_face")
    }
    dropped = f"(sum({INGEST}frames_dropped_total{{{NAMESPACE}}}) or 0 * {total['captured']})"
    return f"{total['captured']} - {total['with_face']} - {total['without_face']} - {dropped}"


def delays(built: dashboard.Dashboard) -> None:
    """How late everything is."""
    stage = f"{RECOGNIZER}stage_seconds"
    row(
        built,
        "Lag and latency",
        lines(
            "Lag by service",
            "Messages between the last that was read and the end. Committed lag always holds one "
            "look-back of each stream, so this is lag by position.",
            ("short", "messages"),
            (f"microex:lag_messages:sum{{{NAMESPACE}}}", "{{job}}"),
        ),
        lines(
            "Lag by partition",
            "The same for each partition of the face frames.",
            ("short", "messages"),
            (f"sum by (partition) ({SPOTTER}lag_messages{{{NAMESPACE}}})", "{{partition}}"),
        ),
        lines(
            "Time of each stage",
            "From one stage's stamp to the next, waiting in Kafka included: median and 95th percentile.",
            SECONDS,
            (quantile(0.5, stage, NAMESPACE, "stage"), "{{stage}} median"),
            (quantile(0.95, stage, NAMESPACE, "stage"), "{{stage}} 95 %"),
        ),
        lines(
            "From capture to graph",
            "From the frame that decided a window to its prediction; live cameras only.",
            SECONDS,
            *median_and(0.95, "95 %", f"{RECOGNIZER}latency_seconds", NAMESPACE),
            (quantile(0.99, f"{RECOGNIZER}latency_seconds", NAMESPACE), "99 %"),
        ),
        lines(
            "Late predictions",
            "Share that came more than 5 s after capture; the objective allows 1 %. Live cameras only.",
            SHARE,
            (f"microex:late_predictions:ratio_rate5m{{{NAMESPACE}}}", "5 minutes {{namespace}}"),
            (f"microex:late_predictions:ratio_rate1h{{{NAMESPACE}}}", "1 hour {{namespace}}"),
        ),
        lines(
            "Time until a movement is decided",
            "Stream time from apex to decision: the spotter waits for the offset.",
            SECONDS,
            *median_and(0.95, "95 %", f"{SPOTTER}decision_delay_seconds", NAMESPACE),
        ),
        lines(
            "Time to analyse a frame",
            "What the spotter needs for one face frame.",
            SECONDS,
            *median_and(0.95, "95 %", f"{SPOTTER}step_seconds", NAMESPACE),
        ),
        lines(
            "Held by the spotters",
            "Messages not committed yet: one look-back of each stream, at least.",
            ("short", "messages"),
            (f"sum by (namespace) ({SPOTTER}held_messages{{{NAMESPACE}}})", "{{namespace}}"),
        ),
    )


def model(built: dashboard.Dashboard) -> None:
    """What the recognizers do."""
    batch, forward = f"{RECOGNIZER}batch_windows", f"{RECOGNIZER}forward_seconds"
    row(
        built,
        "Recognizer",
        lines(
            "Batch size",
            "Windows in a forward pass.",
            WINDOWS,
            *median_and(0.95, "95 %", batch, NAMESPACE),
            width=8,
        ),
        lines(
            "Forward pass",
            "Time of one, reading and answering included.",
            SECONDS,
            *median_and(0.95, "95 %", forward, NAMESPACE),
            width=8,
        ),
        lines(
            "Waiting",
            "Windows in the queue, and in flight from Kafka.",
            WINDOWS,
            (f"sum by (namespace) ({RECOGNIZER}queue_windows{{{NAMESPACE}}})", "queue {{namespace}}"),
            (f"sum by (namespace) ({RECOGNIZER}windows_in_flight{{{NAMESPACE}}})", "in flight {{namespace}}"),
            width=8,
        ),
        lines(
            "Cache",
            "Look-ups that found an answer, among all.",
            SHARE,
            (
                f'sum(rate({RECOGNIZER}cache_total{{{NAMESPACE}, result="hit"}}[$__rate_interval])) / '
                f"sum(rate({RECOGNIZER}cache_total{{{NAMESPACE}}}[$__rate_interval]))",
                "hits",
            ),
            (f"min({RECOGNIZER}cache_up{{{NAMESPACE}}})", "answers"),
            width=8,
            most=1,
        ),
        lines(
            "Records",
            "Records read from Kafka by what became of them.",
            ("cps", "records a second"),
            (per_second(f"{RECOGNIZER}windows_total{{{NAMESPACE}}}", "outcome"), "{{outcome}}"),
            (f"sum(rate({SPOTTER}dead_letters_total{{{NAMESPACE}}}[$__rate_interval]))", "spotter: dead letter"),
            width=8,
        ),
        lines(
            "Turned away",
            "Windows for which the queue was full, and those whose caller had gone.",
            ("cps", "windows a second"),
            (f"sum(rate({RECOGNIZER}queue_full_total{{{NAMESPACE}}}[$__rate_interval]))", "queue full"),
            (f"sum(rate({RECOGNIZER}abandoned_total{{{NAMESPACE}}}[$__rate_interval]))", "abandoned"),
            width=8,
        ),
        lines(
            "gRPC",
            "Calls by method and status code.",
            ("cps", "calls a second"),
            (per_second(f"{RECOGNIZER}requests_total{{{NAMESPACE}}}", "method, code"), "{{method}} {{code}}"),
            width=8,
        ),
        lines(
            "Share of time in the model",
            "Of each recognizer: near 1 it is full, with a GPU or without.",
            SHARE,
            (f"rate({forward}_sum{{{NAMESPACE}}}[$__rate_interval])", "{{instance}}"),
            width=8,
        ),
        lines(
            "GPU",
            "Work and memory of the GPUs, as NVIDIA's dcgm-exporter tells.",
            SHARE,
            (f"DCGM_FI_DEV_GPU_UTIL{{{GPU}}} / 100", "busy {{gpu}}"),
            (
                f"DCGM_FI_DEV_FB_USED{{{GPU}}} / (DCGM_FI_DEV_FB_USED{{{GPU}}} + DCGM_FI_DEV_FB_FREE{{{GPU}}})",
                "memory {{gpu}}",
            ),
            width=8,
            most=1,
        ),
    )


def processes(built: dashboard.Dashboard) -> None:
    """What the services need."""
    row(
        built,
        "Processes",
        lines(
            "CPU",
            "Cores in use.",
            ("short", "cores"),
            (f"rate(process_cpu_seconds_total{{{JOBS}}}[$__rate_interval])", "{{job}} {{instance}}"),
            width=8,
        ),
        lines(
            "Memory",
            "Resident memory.",
            ("bytes", "bytes"),
            (f"process_resident_memory_bytes{{{JOBS}}}", "{{job}} {{instance}}"),
            width=8,
        ),
        lines(
            "Age",
            "Time since each process started: a line that falls to 0 is a restart.",
            SECONDS,
            (f"time() - process_start_time_seconds{{{JOBS}}}", "{{job}} {{instance}}"),
            width=8,
        ),
    )
