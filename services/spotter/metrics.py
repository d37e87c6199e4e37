"""What the spotter counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

FRAMES: Final = Counter(
    "microex_spotter_frames_total",
    "Face frames taken from Kafka, by what became of them: analysed; rejected; repeat (seen before, or read again to "
    "rebuild a detector); expired (left the topic before they were read).",
    ["session", "camera", "outcome"],
)
REJECTED: Final = Counter("microex_spotter_rejected_total", "Face frames that were rejected, by reason.", ["reason"])
WINDOWS: Final = Counter(
    "microex_spotter_windows_total", "Apex windows that Kafka acknowledged.", ["session", "camera", "kind"]
)
DISMISSED: Final = Counter(
    "microex_spotter_dismissed_total", "Movements that were looked at and are no expression, by reason.", ["reason"]
)
POISON: Final = Counter("microex_spotter_dead_letters_total", "Records that went to the dead-letter topic.")
STREAMS: Final = Gauge("microex_spotter_streams", "Streams that are being watched.")
SILENT: Final = Counter("microex_spotter_silent_streams_total", "Streams dropped because they fell silent.")
HELD: Final = Gauge(
    "microex_spotter_held_messages", "Messages whose offsets are not committed yet; holds one look-back of each stream."
)
LAG: Final = Gauge(
    "microex_spotter_lag_messages", "Messages between the last one that was taken and the end.", ["partition"]
)
STEP_SECONDS: Final = Histogram(
    "microex_spotter_step_seconds",
    "Time to analyse one face frame.",
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
)
DELAY_SECONDS: Final = Histogram(
    "microex_spotter_decision_delay_seconds",
    "Stream time from the apex of a movement to the frame that decided it.",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0),
)
