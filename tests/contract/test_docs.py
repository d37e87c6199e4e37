"""The pages in the repository: their links lead somewhere, their commands exist."""

import re
from pathlib import Path

import pytest

from services.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/**/*.md")]


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    commands = re.findall(r"(?m)(?:^    |`)(?:\.venv/bin/)?microex ([a-z-]+)", text)
    assert not set(commands) - set(COMMANDS)
    targets = set(re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?m)(?:^    |`|; )make ([a-z-]+)", text))
    assert not named - targets
