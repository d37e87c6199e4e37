"""deploy/compose.yaml: what the compose specification takes, with settings that exist and files that are there."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts import tools
from scripts.setup import ROOT
from services.common.settings import load
from tests.deploy import dockerfile
from tests.deploy.conftest import there
from tests.deploy.test_images import STAGES
from tests.deploy.test_pods import SETTINGS

FOLDER = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def test_the_specification_takes_it() -> None:
    schema = json.loads((there(lambda: tools.schemas("compose")) / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"a": {"imagee": "b"}}}, schema)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_run_with_nothing_to_spare(name: str) -> None:
    service = SERVICES[name]
    tag = service["image"].partition(":")[2]
    assert tag and tag != "latest"
    if name in OURS:
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "nothing is open to the network that nobody asked for"


@pytest.mark.parametrize("name", OURS)
def test_our_services_get_settings_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES[name]
    target = service["build"]["target"]
    assert target in STAGES and (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    for stage in dockerfile.lineage(STAGES, target):
        for variable, value in (word.split("=", 1) for line in stage.all("ENV") for word in line.split()):
            if variable.startswith("MICROEX_"):
                monkeypatch.setenv(variable, value)
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load(SETTINGS[name])
    assert settings.kafka_bootstrap_servers.split(":")[0] in SERVICES
    if probe := service.get("healthcheck"):
        address = f":{settings.http_port}/readyz"  # type: ignore[attr-defined]
        assert address in probe["test"][-1]


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (FOLDER / source).exists(), source


def test_prometheus_scrapes_every_service_and_grafana_finds_it() -> None:
    config = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yaml").read_text())
    scraped = {job["job_name"]: job["static_configs"][0] for job in config["scrape_configs"]}
    assert {name: entry["targets"] for name, entry in scraped.items()} == {
        f"microex-{name}": [f"{name}:9464"] for name in ("ingest", "spotter", "recognizer")
    }
    assert all("namespace" in entry["labels"] for entry in scraped.values())
    assert all((FOLDER / "prometheus" / file).exists() for file in config["rule_files"])
    [source] = yaml.safe_load(read("datasources/prometheus.yaml"))["datasources"]
    assert source["url"] == "http://prometheus:9090" and source["uid"] == "prometheus"
    [provider] = yaml.safe_load(read("dashboards/microex.yaml"))["providers"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in SERVICES["grafana"]["volumes"])


def read(name: str) -> str:
    return Path(FOLDER / "grafana" / "provisioning" / name).read_text()
