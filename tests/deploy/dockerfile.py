"""Reads a Dockerfile as far as ours goes: stages, and the instructions in them."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One FROM with what follows. base: a stage or an image; steps: (instruction, rest of it), in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """What stands after an instruction, each time it occurs."""
        return [rest for word, rest in self.steps if word == instruction]


def read(path: Path) -> dict[str, Stage]:
    """The stages by name, images with their arguments filled in."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(None, 1)
        if word == "ARG" and not stages:
            name, value = rest.split("=")
            arguments[name] = value
        elif word == "FROM":
            image, _, name = rest.split()
            for argument, value in arguments.items():
                image = image.replace(f"${{{argument}}}", value)
            stages[name] = Stage(name, image)
        else:
            list(stages.values())[-1].steps.append((word, re.sub(r"\s+", " ", rest)))
    return stages


def lineage(stages: dict[str, Stage], name: str) -> list[Stage]:
    """A stage and those that it is built on, the first one first."""
    stage = stages[name]
    return [*(lineage(stages, stage.base) if stage.base in stages else []), stage]


def command(stage: Stage) -> list[str]:
    """The words of its CMD."""
    [text] = stage.all("CMD")
    words: list[str] = json.loads(text)
    return words
