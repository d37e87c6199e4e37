"""The lock: it holds what pyproject.toml asks for, with hashes, and ties nobody to a package index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.setup import CUDA_BUILD

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.split(r"(?m)^(?=[a-z])", LOCK)[1:]
PINS = {entry.split("==")[0]: entry.split("==")[1].split()[0] for entry in ENTRIES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED = [
    *PROJECT["project"]["dependencies"],
    *(name for extra in PROJECT["project"]["optional-dependencies"].values() for name in extra),
    *PROJECT["dependency-groups"]["dev"],
]


@pytest.mark.parametrize("text", sorted({name for name in ASKED if not name.startswith("microex[")}))
def test_it_pins_what_is_asked_for(text: str) -> None:
    asked = Requirement(text)
    pin = PINS.get(canonicalize_name(asked.name))
    assert pin is not None and asked.specifier.contains(pin), f"locked is {pin}; run `make lock`"


def test_every_entry_has_a_hash() -> None:
    assert [entry for entry in ENTRIES if "--hash=sha256:" not in entry] == []


def test_it_names_no_index() -> None:
    assert "://" not in LOCK and "index-url" not in LOCK


def test_what_is_left_out_for_a_small_torch_is_torch_and_cuda_alone() -> None:
    left_out = {name for name, entry in zip(PINS, ENTRIES, strict=True) if CUDA_BUILD.match(entry)}
    families = {re.split("[-_]", name)[0] for name in left_out}
    assert families == {"torch", "triton", "nvidia", "cuda"}
