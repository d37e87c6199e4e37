"""`microex evaluate recognition` from a folder to a report."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from services.common.errors import Fatal
from services.lab.cli import evaluate
from services.motion.flow_image import tensor_of
from services.recognizer import weights
from services.recognizer.stag.batch import collate
from services.recognizer.stag.config import StagConfig
from tests.unit.lab.evaluate.flow_set import write_set


def run(*words: object) -> Result:
    return CliRunner().invoke(evaluate, ["recognition", *map(str, words)], catch_exceptions=False)


def test_a_loso_report_says_what_happened(tmp_path: Path) -> None:
    root, out = write_set(tmp_path / "set"), tmp_path / "out"
    codes = tmp_path / "aus.csv"
    coded = [
        (file.relative_to(root), {"0": 4, "1": 12, "2": 2}[file.parent.name]) for file in sorted(root.rglob("*.png"))
    ]
    codes.write_text("path,aus\n" + "".join(f"{path},{au}\n" for path, au in coded), "utf-8")
    result = run("--dataset", "flow-images", "--root", root, "--protocol", "loso", "--aus", codes, "--out", out)
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["n"] == 30
    assert sum(map(sum, report["confusion"]["counts"])) == 30
    assert [fold["name"] for fold in report["folds"]] == [f"casme2/{n:02d}" for n in range(1, 6)]
    assert np.trace(report["confusion"]["counts"]) == sum(fold["correct"] for fold in report["folds"])
    assert report["uf1"] > 0.8
    assert report["uf1_interval"]["low"] <= report["uf1"] <= report["uf1_interval"]["high"]
    assert set(report["per_class"]) == {"negative", "positive", "surprise"}
    assert report["au_f1"]["aus"]["AU4"]["n"] == 10
    assert report["au_f1"]["mean"] is None, "no AU was coded 20 times"
    assert len(report["baselines"]) >= 1
    rows = list(csv.DictReader((out / "report.csv").open(encoding="utf-8", newline="")))
    right = sum(row["truth"] == row[f"{report['recogniser']}: answer"] for row in rows)
    assert right / 30 == pytest.approx(report["accuracy"])
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert f"{report['uf1']:.3f}" in (out / "report.md").read_text("utf-8")


@pytest.mark.parametrize("protocol", ["groupkfold", "stratifiedkfold"])
def test_other_protocols(tmp_path: Path, protocol: str) -> None:
    root, out = write_set(tmp_path / "set", subjects=3), tmp_path / "out"
    result = run("--dataset", "flow-images", "--root", root, "--protocol", protocol, "--folds", 3, "--out", out)
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert len(report["folds"]) == 3
    assert any("one person on both sides" in note for note in report["notes"]) == (protocol == "stratifiedkfold")


def test_a_second_run_gives_the_same_report_without_fitting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--dataset", "flow-images", "--root", write_set(tmp_path / "set", subjects=3), "--out", tmp_path / "out")
    run(*words)
    first = (tmp_path / "out/report.json").read_bytes()

    def never(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("services.lab.baselines._fit_regression", never)
    monkeypatch.setattr("services.lab.baselines._fit_cnn", never)
    run(*words)
    assert (tmp_path / "out/report.json").read_bytes() == first


def test_copies_of_a_clip_on_both_sides_are_told(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", subjects=3, each=1)
    (root / "sub02/u_test/0/copy.png").write_bytes((root / "sub01/u_test/0/EP 0.png").read_bytes())
    run("--dataset", "flow-images", "--root", root, "--out", tmp_path / "out")
    notes = json.loads((tmp_path / "out/report.json").read_text("utf-8"))["notes"]
    assert any("1 clips are there under two names" in note for note in notes)


def test_zero_shot_scores_the_weights_as_they_are(tmp_path: Path) -> None:
    root, file = write_set(tmp_path / "set", subjects=2, each=1), tmp_path / "made.safetensors"
    made = replace(weights.untrained(StagConfig()), trained=True)
    weights.write(made, file)
    words = ("--dataset", "flow-images", "--root", root, "--protocol", "zero-shot", "--model-weights", file)
    assert run(*words, "--out", tmp_path / "out").exit_code == 0
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    assert (report["recogniser"], report["n"], report["baselines"]) == ("STAG, zero-shot", 6, {})
    assert made.digest()[:12] in report["about"]
    rows = list(csv.DictReader((tmp_path / "out/report.csv").open(encoding="utf-8", newline="")))
    network = made.network()
    [first] = [row for row in rows if row["clip"] == "flow-images/01/0/EP 0.png"]
    image = cv2.imread(str(root / "sub01/u_test/0/EP 0.png"))[:, :, ::-1]
    with torch.inference_mode():
        expected = network(collate([tensor_of(np.ascontiguousarray(image))])).emotion.softmax(-1)[0]
    said = [float(first[f"STAG, zero-shot: {name}"]) for name in ("negative", "positive", "surprise")]
    assert said == pytest.approx(expected.tolist(), abs=1e-4)


def test_zero_shot_refuses_weights_that_were_never_trained(tmp_path: Path) -> None:
    file = tmp_path / "random.safetensors"
    weights.write(weights.untrained(StagConfig()), file)
    words = ("--dataset", "flow-images", "--root", write_set(tmp_path / "set", 2, 1), "--protocol", "zero-shot")
    with pytest.raises(Fatal, match="no trained weights"):
        run(*words, "--model-weights", file, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "casme9"), "unknown data set"),
        (("--dataset", "flow-images", "--classes", "5"), "--classes 3"),
        (("--dataset", "flow-images", "--protocol", "leave-dataset-out"), "nothing is left"),
        (("--dataset", "flow-images", "--protocol", "groupkfold", "--folds", "9"), "fewer persons"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(Fatal, match=message):
        run(*words, "--root", write_set(tmp_path / "set", subjects=2, each=1), "--out", tmp_path / "out")
