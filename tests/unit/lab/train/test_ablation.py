"""The table of what each part is worth."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.common.settings import ModelSettings
from services.lab import ablation
from services.lab.recipe import Recipe

CPU = ModelSettings(device="cpu", torch_threads=1)


def test_every_part_of_the_network_has_a_row() -> None:
    assert {"graph", "temporal", "cross_attention", "au_guidance", "gated_fusion"} <= set(ablation.PARTS)


def test_a_row_for_each_part_and_nothing_trained_twice(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(recipe, steps=2, validation=24)
    rows = ablation.ablate(tmp_path, short, range(2), CPU, ["graph", "temporal"])
    assert [row.off for row in rows] == [ablation.WHOLE, "graph", "temporal"]
    assert rows[1].parameters < rows[0].parameters
    assert all(len(row.uf1_clips) == 2 and min(row.uf1_clips) >= 0 for row in rows)
    assert "| graph |" in (tmp_path / "ablation.md").read_text("utf-8")
    assert json.loads((tmp_path / "ablation.json").read_text("utf-8"))["seeds"] == [0, 1]

    def never(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ablation, "_trained", never)
    assert ablation.ablate(tmp_path, short, range(2), CPU, ["graph", "temporal"]) == rows


def test_the_table_shows_what_is_lost() -> None:
    whole = ablation.Row(ablation.WHOLE, 10, (0.7, 0.8), (0.7, 0.8), (0.5, 0.5), (0.5, 0.5))
    without = ablation.Row("graph", 8, (0.6, 0.7), (0.6, 0.7), (0.5, 0.5), (0.5, 0.5))
    assert "| graph | 8 | 0.650 | 0.650 | 0.500 | 0.500 | +0.100 ± 0.000 |" in ablation.table([whole, without])
