"""Writes docs/metrics.md, the list of all metrics, from the services' code: `python -m scripts.metrics_page`."""

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric

from scripts.setup import ROOT
from services.ingest.metrics import Cameras
from services.recognizer import metrics as recognizer
from services.spotter import metrics as spotter

PAGE: Final = ROOT / "docs" / "metrics.md"

HEAD: Final = """# Metrics

Written by `python -m scripts.metrics_page` from what the services define. Each service shows its metrics under
`/metrics`; the finest labels are session and camera, never a person, a path or an address. `process_…` and `python_…`
come with Prometheus' client.

A counter counts from the start of its process. A histogram has `_bucket`, `_sum` and `_count`. Labels that Prometheus
adds (`namespace`, `job`, `instance`, `pod`) are not listed."""


def rendered() -> str:
    """What PAGE holds when it is up to date."""
    parts = [HEAD]
    for service, families in metrics().items():
        parts += [f"\n## {service}\n", "| metric | type | labels | meaning |\n|---|---|---|---|"]
        for family in families:
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(labels_of(family))
            parts.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(parts) + "\n"


def metrics() -> dict[str, list[Metric]]:
    """Every metric of ours, by service and name."""
    ingest = CollectorRegistry()
    Cameras([], ingest)
    families = [*ingest.collect(), *REGISTRY.collect()]
    return {
        service: sorted(
            (f for f in families if f.name.startswith(f"microex_{service}_")), key=lambda family: family.name
        )
        for service in ("ingest", "spotter", "recognizer")
    }


def labels_of(family: Metric) -> tuple[str, ...]:
    """The labels that a metric's own code gives it, in order."""
    for defined in (*vars(spotter).values(), *vars(recognizer).values()):
        if getattr(defined, "_name", None) == family.name:
            return tuple(defined._labelnames)
    return tuple(getattr(family, "_labelnames", ()))


if __name__ == "__main__":
    PAGE.write_text(rendered())
