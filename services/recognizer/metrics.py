"""What the recognizer tells Prometheus. Labels are few and never name a person."""

from prometheus_client import Counter, Gauge, Histogram

_PREFIX = "microex_recognizer"

REQUESTS = Counter(f"{_PREFIX}_requests_total", "gRPC calls by method and status code.", ["method", "code"])
PREDICTIONS = Counter(
    f"{_PREFIX}_predictions_total", "Answers given, cached ones included, by emotion and kind.", ["emotion", "kind"]
)
WINDOWS = Counter(
    f"{_PREFIX}_windows_total",
    "Records read from apex windows by outcome: published, dead_letter, tombstone, withdrawn.",
    ["outcome"],
)
for _outcome in ("published", "dead_letter", "tombstone", "withdrawn"):
    WINDOWS.labels(_outcome)  # there from the start: an increase from nothing is none to Prometheus
LAG = Gauge(f"{_PREFIX}_lag_messages", "Apex windows between the last one that was read and the end.", ["partition"])
IN_FLIGHT = Gauge(f"{_PREFIX}_windows_in_flight", "Records read from apex windows and not yet done.")
PUBLISH_RETRIES = Counter(f"{_PREFIX}_publish_retries_total", "Records that Kafka did not accept at first.")

QUEUE_DEPTH = Gauge(f"{_PREFIX}_queue_windows", "Windows that wait for a forward pass.")
QUEUE_FULL = Counter(f"{_PREFIX}_queue_full_total", "Windows turned away because the queue was full.")
ABANDONED = Counter(f"{_PREFIX}_abandoned_total", "Windows whose caller was gone before their forward pass.")
BATCH_SIZE = Histogram(
    f"{_PREFIX}_batch_windows", "Windows in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
)
FORWARD_SECONDS = Histogram(
    f"{_PREFIX}_forward_seconds",
    "Time of a batch, with reading and answering.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)

CACHE = Counter(f"{_PREFIX}_cache_total", "Cache look-ups by result: hit, miss, error, skipped.", ["result"])
CACHE_UP = Gauge(f"{_PREFIX}_cache_up", "1: the cache answers; 0: it does not, or there is none.")

MODEL = Gauge(f"{_PREFIX}_model_info", "Which model answers; always 1.", ["name", "version", "digest", "trained"])

# Labelled with sessions and cameras, so only what came through Kafka counts here: a caller of gRPC may name anything.
DETECTIONS = Counter(
    f"{_PREFIX}_detections_total",
    "Expressions found: distinct predictions of this process whose AuGraph Kafka acknowledged.",
    ["session", "camera", "kind", "emotion"],
)
AU_ACTIVATIONS = Counter(
    f"{_PREFIX}_au_activations_total", "AUs that were active in those predictions.", ["au", "session", "camera"]
)
LATEST = Gauge(
    f"{_PREFIX}_latest_detection_timestamp_seconds",
    "When the latest of those predictions was made, UTC, since the Unix epoch.",
    ["session", "camera"],
)
CONFIDENCE = Histogram(
    f"{_PREFIX}_emotion_confidence_ratio",
    "Probability of the emotion that was named, 0 to 1.",
    ["session", "camera"],
    buckets=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
)
_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
STAGE_SECONDS = Histogram(
    f"{_PREFIX}_stage_seconds",
    "Wall time of each stage of those predictions, waiting included: ingest (from capture), spotter, recognizer.",
    ["stage"],
    buckets=_SECONDS,
)
LATENCY_SECONDS = Histogram(
    f"{_PREFIX}_latency_seconds",
    "Wall time from the capture of the frame that decided a window to its prediction; live sources only.",
    buckets=_SECONDS,
)
