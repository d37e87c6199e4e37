"""docs/operations.md names what is there: commands, options, settings, metrics, objects, panels, log lines."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from deploy.grafana.build import BOARDS
from scripts.setup import ROOT
from services.cli import microex
from services.common.settings import ALL_SETTINGS, PREFIX
from tests.deploy import boards
from tests.deploy.cluster import Build
from tests.deploy.test_compose import SERVICES
from tests.deploy.test_observability import ALERTS, known

PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))


def test_settings_and_metrics_exist() -> None:
    settings = {PREFIX + name.upper() for cls in ALL_SETTINGS for name in cls.model_fields}
    assert set(re.findall(r"MICROEX_[A-Z_]+", PAGE)) <= settings
    assert set(re.findall(r"microex_[a-z_]+", PAGE)) <= known()


def test_what_it_quotes_is_a_panel_or_is_logged() -> None:
    panels = {panel["title"] for name in BOARDS for panel in boards.panels(name)}
    prose = re.sub(r"(?m)^    .*$|`[^`]*`", "", PAGE)
    for words in re.findall(r'"([^"]+)"', prose):
        assert words in panels or words in SOURCES, words


def commands(first: str) -> Iterator[list[str]]:
    """Commands of the page that begin so, as words, continued lines joined."""
    text = PAGE.replace("\\\n", " ")
    for line in re.findall(rf"(?m)(?:^ +|`|-- ){first} ([^`\n]+)", text.replace("\nmicroex ", " microex ")):
        yield shlex.split(line, comments=True)


@pytest.mark.parametrize("words", list(commands("microex")), ids=" ".join)
def test_its_commands_can_be_read(words: list[str]) -> None:
    """The command exists and takes these options."""
    command: click.Command = microex
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, words
        command = found
    command.make_context(command.name, words)


def test_what_docker_is_told_exists() -> None:
    called = list(commands("docker compose --file deploy/compose.yaml"))
    assert called
    for words in called:
        named = [word for word in words[1:] if not word.startswith("-")]
        assert not named or named[0] in SERVICES, words


def test_objects_that_it_names_exist(cluster: Build) -> None:
    if cluster.name != "research-room":
        pytest.skip("the page is written for research-room")
    kinds = {"deploy": "Deployment", "statefulset": "StatefulSet"}
    for kind, name in re.findall(r"\b(deploy|statefulset)/([a-z]+)\b", PAGE):
        if name not in ("compose", "k8s"):
            cluster.one(kinds[kind], name)
    for name in re.findall(r"NetworkPolicy\s+`([\w-]+)`", PAGE):
        cluster.one("NetworkPolicy", name)
    for name in re.findall(r"KafkaUser `([\w-]+)`", PAGE):
        cluster.one("KafkaUser", name)
    for name in re.findall(r"app.kubernetes.io/name=([\w-]+)", PAGE):
        cluster.one("Deployment", name)


def test_every_section_on_alerts_is_one_that_can_come() -> None:
    sections = set(re.findall(r"(?m)^### (Microex\w+)$", PAGE))
    named = {rule["annotations"]["runbook"].partition("#")[2] for rule in ALERTS.values()}
    assert {section.lower() for section in sections} == named
