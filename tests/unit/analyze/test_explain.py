"""Files of `--explain`: whole or not there. What is in them is in tests/unit/spotter/test_explain.py."""

from pathlib import Path

import numpy as np
import pytest

from services.analyze.explain import Explanation, remove
from services.motion.convention import CROP_PX

OLD = {"candidates.jsonl", "candidates-001.png", "candidates-002.png"}


def explain(folder: Path) -> Explanation:
    """With one row that is on no sheet yet, and one sheet beside it."""
    explanation = Explanation(folder)
    explanation._rows.append(np.zeros((CROP_PX, 4 * CROP_PX), np.uint8))
    explanation._write_sheet()
    return explanation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in OLD:
        (tmp_path / name).write_text("old", "utf-8")
    return tmp_path


def test_files_take_the_place_of_older_ones_at_the_end_and_not_before(folder: Path) -> None:
    with explain(folder):
        assert all((folder / name).read_text("utf-8") == "old" for name in OLD)
    assert {path.name for path in folder.iterdir()} == OLD - {"candidates-002.png"}
    assert (folder / "candidates.jsonl").read_text("utf-8") == ""


def test_a_run_that_fails_leaves_older_files_alone(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), explain(folder):
        raise KeyboardInterrupt
    assert {path.name for path in folder.iterdir()} == OLD
    assert all((folder / name).read_text("utf-8") == "old" for name in OLD)


def test_what_an_earlier_run_explained_can_be_removed(folder: Path) -> None:
    (folder / "events.csv").touch()
    remove(folder)
    assert [path.name for path in folder.iterdir()] == ["events.csv"]
