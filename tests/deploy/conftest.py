"""What deployment tests share: the tools, what kustomize makes of the manifests, and a place for figures."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import tools
from tests.deploy.cluster import K8S, Build, build

FIGURE = "figure"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show, at the end of a run, every `record_property("figure", "…")`, whichever process measured it."""
    reports = terminalreporter.stats.get("passed", [])
    figures = [text for report in reports for name, text in getattr(report, "user_properties", ()) if name == FIGURE]
    if figures:
        terminalreporter.section("deployment")
        terminalreporter.write_line("\n".join(sorted(set(figures))))


def there(fetch: Callable[[], Path]) -> Path:
    """What a tool's function returns; the test is skipped, by the tool's name and with how to install it, without."""
    try:
        return fetch()
    except tools.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The command promtool."""
    return there(tools.prometheus) / "promtool"


ELSEWHERE = "base, Kafka elsewhere"
BUILDS = (*sorted(folder.name for folder in (K8S / "overlays").iterdir()), ELSEWHERE)


@pytest.fixture(scope="session", params=BUILDS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Every overlay, and the base with certificates for a Kafka that is run elsewhere."""
    kustomize, name = there(tools.kustomize), request.param
    if name != ELSEWHERE:
        return build(kustomize, K8S / "overlays" / name, name)
    folder = tmp_path_factory.mktemp("elsewhere").resolve()
    parts = {"resources": ["base"], "components": ["components/tls", "components/tls-kafka"]}
    content = {key: [os.path.relpath(K8S / path, folder) for path in paths] for key, paths in parts.items()}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "microex", **content}))
    return build(kustomize, folder, name)
