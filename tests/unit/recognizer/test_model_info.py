"""`microex model-info`: its figures are those of the network."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from services.recognizer.cli import model_info
from services.recognizer.model_info import REST, WHOLE, count_flops, describe, example
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag


def test_parts_sum_to_the_whole() -> None:
    network = Stag().eval()
    parts = {part.name: part for part in describe(network, 2, 3, ())}
    whole = parts.pop(WHOLE)
    assert whole.parameters == network.parameter_count() == sum(part.parameters for part in parts.values())
    assert whole.flops == sum(part.flops for part in parts.values())


def test_operations_of_a_part_that_can_be_counted_by_hand() -> None:
    """A multiply-add is two. E-GAT: into and out of messages, the feed-forward layer (4 D^2), and one sum along
    the edges. A transformer layer: query, key, value and out, the feed-forward layer, and attention twice."""
    width, rois = 96, 23
    flops = count_flops(Stag(StagConfig(graph_layers=1, time_layers=1)).eval(), example(1, 5, "cpu"))
    assert flops["graph"] == 5 * (2 * rois * (2 * width**2 + 4 * width**2) + 2 * rois * rois * width)
    assert flops["temporal"] == 2 * 5 * (4 * width**2 + 4 * width**2) + 2 * 2 * 5 * 5 * width


def test_operations_grow_with_clips_and_a_part_that_is_off_costs_nothing() -> None:
    network = Stag().eval()
    one, two = (count_flops(network, example(clips, 4, "cpu")) for clips in (1, 2))
    assert two[WHOLE] == 2 * one[WHOLE]
    off = {part.name for part in describe(Stag(replace(StagConfig(), graph=False)).eval(), 1, 2, ())}
    assert "graph" not in off
    assert {"encoder", "temporal", REST, WHOLE} <= off


def test_the_command_prints_every_part_in_both_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.recognizer.model_info.REPEATS", 2)
    result = CliRunner().invoke(model_info, ["--frames", "2", "--device", "cpu", "--torch-threads", "1"])
    assert result.exit_code == 0, result.output
    network = Stag()
    for name, _ in network.named_children():
        assert name in result.output
    [whole] = [line.split() for line in result.output.splitlines() if line.startswith(WHOLE)]
    assert whole[1] == f"{network.parameter_count():,}"
    assert all(float(spent) > 0 for spent in whole[3:5])
    assert ", trained;" in result.output, "the weights that ship"
