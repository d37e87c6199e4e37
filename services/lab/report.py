"""What is said of a recogniser: report.json for programs, report.md for people, report.csv clip by clip, a figure."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from services.analyze.files import whole, write_json
from services.analyze.style import settings
from services.lab import bootstrap, metrics
from services.lab.datasets.clip import Clip
from services.lab.folds import Answers
from services.lab.protocol import Fold
from services.lab.recogniser import Recogniser, Sample
from services.motion.aus import AUS

_DPI: Final = 150


@dataclass(frozen=True)
class Trial:
    """All that a report is made of. answers: of each recogniser, the one under test first.

    facts: what else was set or found, shown as it is (protocol, data sets, seed, clips left out, …).
    """

    samples: Sequence[Sample]
    clips: Mapping[str, Clip]
    classes: tuple[str, ...]
    folds: Sequence[Fold]
    answers: Sequence[tuple[Recogniser, Answers]]
    seed: int
    facts: Mapping[str, Any]


def write_report(folder: Path, trial: Trial) -> dict[str, Any]:
    """Write all four files, report.json last; returns what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    report = make_report(trial)
    _write_csv(folder / "report.csv", trial)
    _write_figure(folder / "confusion.png", report)
    with whole(folder / "report.md") as part:
        part.write_text(_markdown(report), "utf-8")
    write_json(folder / "report.json", report)
    return report


def make_report(trial: Trial) -> dict[str, Any]:
    """The content of report.json; docs/datasets.md explains every field."""
    (tested, answers), *others = trial.answers
    ours = _tables(trial, answers)
    baselines = {}
    for recogniser, theirs in others:
        tables = _tables(trial, theirs)
        baselines[recogniser.name] = _scores(trial, theirs, recogniser) | {
            "versus": bootstrap.difference(ours, tables, trial.seed)
        }
    return {
        "recogniser": tested.name,
        **_scores(trial, answers, tested),
        "by_dataset": _by_dataset(trial, answers),
        "folds": [_fold(trial, answers, fold) for fold in trial.folds],
        "baselines": baselines,
        **trial.facts,
    }


def _scores(trial: Trial, answers: Answers, recogniser: Recogniser) -> dict[str, Any]:
    said = np.array([answers.emotion[sample.id] for sample in trial.samples])
    truth = np.array([sample.label for sample in trial.samples])
    tables = _tables(trial, answers)
    low, high = bootstrap.interval(tables, trial.seed)
    scores = metrics.recognition(tables.sum(0), trial.classes) | {
        "about": recogniser.about,
        "uf1_interval": {"low": low, "high": high, "level": bootstrap.LEVEL, "over": "subjects"},
        "calibration_error": metrics.calibration_error(said.max(1), said.argmax(1) == truth),
    }
    known = np.array([sample.au_known for sample in trial.samples])
    if answers.active is not None and known.any():
        active = [answers.active[sample.id] for sample in trial.samples]
        target = [sample.au for sample in trial.samples]
        scores["au_f1"] = metrics.au_f1(target, known, active, [au.code for au in AUS])
    return scores


def _tables(trial: Trial, answers: Answers) -> Any:
    """[S, C, C] by person."""
    people, truth = zip(*((sample.person, sample.label) for sample in trial.samples), strict=True)
    said = [_answer(answers, sample.id) for sample in trial.samples]
    return bootstrap.by_person(people, truth, said, len(trial.classes))


def _by_dataset(trial: Trial, answers: Answers) -> dict[str, Any]:
    sets = sorted({trial.clips[sample.id].population for sample in trial.samples})
    result = {}
    for name in sets:
        of_set = [sample for sample in trial.samples if trial.clips[sample.id].population == name]
        counts = _counts(of_set, answers, len(trial.classes))
        result[name] = {"n": len(of_set), "uf1": float(metrics.uf1(counts)), "uar": float(metrics.uar(counts))}
    return result


def _fold(trial: Trial, answers: Answers, fold: Fold) -> dict[str, Any]:
    inside = set(fold.test)
    counts = _counts([sample for sample in trial.samples if sample.id in inside], answers, len(trial.classes))
    return {
        "name": fold.name,
        "train": len(fold.train),
        "test": len(fold.test),
        "correct": int(np.trace(counts)),
        "confusion": counts.tolist(),
    }


def _counts(samples: Sequence[Sample], answers: Answers, classes: int) -> Any:
    return metrics.confusion([s.label for s in samples], [_answer(answers, s.id) for s in samples], classes)


def _answer(answers: Answers, clip: str) -> int:
    return int(np.argmax(answers.emotion[clip]))


def _write_csv(path: Path, trial: Trial) -> None:
    names = [recogniser.name for recogniser, _ in trial.answers]
    columns = ["clip", "person", "fold", "truth"]
    columns += [f"{name}: {what}" for name in names for what in ("answer", *trial.classes)]
    fold_of = {clip: fold.name for fold in trial.folds for clip in fold.test}
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for sample in trial.samples:
            row = [sample.id, sample.person, fold_of[sample.id], trial.classes[sample.label]]
            for _, answers in trial.answers:
                row += [trial.classes[_answer(answers, sample.id)]]
                row += [f"{value:.6f}" for value in answers.emotion[sample.id]]
            table.writerow(row)


def _write_figure(path: Path, report: Mapping[str, Any]) -> None:
    """A confusion matrix for each recogniser: counts, coloured by share of the true class."""
    shown = {report["recogniser"]: report, **report["baselines"]}
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(3.9 * len(shown), 3.9), dpi=_DPI, layout="constrained")
        for axes, (name, scores) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
            counts, classes = np.array(scores["confusion"]["counts"]), scores["confusion"]["classes"]
            share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
            axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            for (i, j), value in np.ndenumerate(counts):
                axes.text(j, i, str(value), ha="center", va="center", color="white" if share[i, j] > 0.55 else "black")
            axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
            axes.set_yticks(range(len(classes)), classes)
            axes.set(xlabel="answer", ylabel="truth")
            axes.set_title(f"{name}\nUF1 {scores['uf1']:.3f}, UAR {scores['uar']:.3f}", size=10)
        with whole(path) as part:
            FigureCanvasAgg(figure).print_png(str(part))  # type: ignore[no-untyped-call]


def _markdown(report: Mapping[str, Any]) -> str:
    """One page: scores, classes, data sets, AUs, and what was set."""
    lines = [f"# {report['recogniser']}: {report['protocol']} on {', '.join(report['datasets'])}", ""]
    lines += [f"> {note}" for note in report["notes"]] + [""] * bool(report["notes"])
    lines += [
        "| recogniser | UF1 (95 %) | UAR | accuracy | calibration error | AU F1 | UF1 of the first less this (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, scores in {report["recogniser"]: report, **report["baselines"]}.items():
        lines.append(_row(name, scores))
    lines += [
        "",
        f"{report['n']} clips of {report['persons']} persons in {len(report['folds'])} folds. Intervals: bootstrap "
        "over subjects. Counts are summed over all folds before scoring.",
        "",
        "![confusion](confusion.png)",
        "",
    ]
    lines += ["| class | n | F1 | precision | recall |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {each['n']} | {each['f1']:.3f} | {each['precision']:.3f} | {each['recall']:.3f} |"
        for name, each in report["per_class"].items()
    ]
    lines += ["", "| data set | n | UF1 | UAR |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {each['n']} | {each['uf1']:.3f} | {each['uar']:.3f} |"
        for name, each in report["by_dataset"].items()
    ]
    if "au_f1" in report:
        lines += ["", "| AU | coded positives | F1 | in the mean |", "|---|---|---|---|"]
        lines += [
            f"| {au} | {each['n']} | {each['f1']:.3f} | {'yes' if au in report['au_f1']['counted'] else 'no'} |"
            for au, each in report["au_f1"]["aus"].items()
        ]
    lines += ["", "## What was compared", ""]
    lines += [
        f"- {name}: {scores['about']}" for name, scores in {report["recogniser"]: report, **report["baselines"]}.items()
    ]
    lines += ["", "## How", "", f"- {report['classes']} classes, seed {report['seed']}, start {report['init']}"]
    lines += [f"- left out: {count} ({reason})" for reason, count in report["left_out"].items()]
    lines += [f"- repaired: {each['clip']} ({each['source']}): {each['repair']}" for each in report["repairs"]]
    lines += [f"- {name} {version}" for name, version in report["versions"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, scores: Mapping[str, Any]) -> str:
    uf1, au = scores["uf1_interval"], scores.get("au_f1", {}).get("mean")
    versus = scores.get("versus")
    better = (
        ""
        if versus is None
        else (f"{versus['difference']:+.3f} ({versus['low']:+.3f} to {versus['high']:+.3f}), p {versus['p']:.3f}")
    )
    cells = (
        name,
        f"{scores['uf1']:.3f} ({uf1['low']:.3f} to {uf1['high']:.3f})",
        *(f"{scores[score]:.3f}" for score in ("uar", "accuracy", "calibration_error")),
        "" if au is None else f"{au:.3f}",
        better,
    )
    return f"| {' | '.join(cells)} |"
