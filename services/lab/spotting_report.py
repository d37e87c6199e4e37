"""Files of a spotting report: report.json, report.md, found.csv and spotting.png."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from services.analyze.files import whole, write_json
from services.analyze.style import settings

_DPI: Final = 150
_INK: Final = "#0072B2"


def write_files(folder: Path, report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """report.json last. rows: one for every labelled and every found expression."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / "found.csv") as part, part.open("w", encoding="utf-8", newline="") as file:
        if rows:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    _write_figure(folder / "spotting.png", report, rows)
    with whole(folder / "report.md") as part:
        part.write_text(_markdown(report), "utf-8")
    write_json(folder / "report.json", dict(report))


def _write_figure(path: Path, report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(11, 7), dpi=_DPI, layout="constrained")
        recall, alarms, errors, delay = figure.subplots(2, 2).ravel()
        bins = report["recall_by_amplitude"]
        _bars(recall, [f"{each['above']:g}-{each['up_to']:g}\nn = {each['n']}" for each in bins],
              [each["recall"] for each in bins], "Recall by intensity of the strongest AU", top=1)  # fmt: skip
        causes = report["false_alarms_per_minute_by_cause"]
        _bars(alarms, list(causes), list(causes.values()), "False alarms a minute, by cause")
        moments = {name: [row[f"{name}_error_ms"] for row in rows if row[f"{name}_error_ms"] is not None]
                   for name in ("onset", "apex", "offset")}  # fmt: skip
        errors.boxplot(list(moments.values()), tick_labels=list(moments), showfliers=False)
        errors.axhline(0, color="#d9dee4", zorder=0)
        errors.set_title("Error of what was found, ms (late is positive)", size=10)
        delay.hist([row["delay_after_apex_s"] for row in rows if row["found"]], bins=30, color=_INK)
        delay.set_title("From apex to decision, s of stream time", size=10)
        with whole(path) as part:
            FigureCanvasAgg(figure).print_png(str(part))  # type: ignore[no-untyped-call]


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, top: float | None = None) -> None:
    axes.bar_label(axes.bar(list(names), list(values), color=_INK), [f"{value:.2f}" for value in values], padding=2)
    axes.set_ylim(0, 1.15 * (top or max(values, default=1) or 1))  # room for a label between bar and title
    axes.set_title(title, size=10)


def _markdown(report: Mapping[str, Any]) -> str:
    lines = ["# Spotting", "", "Intervals match at IoU >= 0.5; counts are summed over all recordings (MEGC).", ""]
    lines += ["| kind | F1 | 95 % | precision | recall | TP | FP | FN |", "|---|---|---|---|---|---|---|---|"]
    lines += [_scores(kind, each) for kind, each in report["kinds"].items()]
    for name, scores in report["baselines"].items():
        lines += [_scores(f"{kind}, {name}", scores[kind]) for kind in ("micro", "macro")]
    lines += [
        "",
        '"all" sums micro and macro; "any kind" asks only for the interval. 95 %: bootstrap over recordings.',
        "",
    ]
    lines += [
        f"{report['recordings']} recordings, {report['minutes']:.1f} minutes, {report['frames']} frames, "
        f"{report['frames_with_face']} with a face. {report['false_alarms_per_minute']:.2f} false alarms a minute."
    ]
    for name, scores in report["baselines"].items():
        lines += ["", f"{name}: {scores['false_alarms_per_minute']:.2f} false alarms a minute."]
    if report["strs"] is not None:
        lines += ["", f"Spot-then-recognise score (STRS): {report['strs']:.3f}."]
    lines += _recognition(report["recognition"])
    lines += ["", "![spotting](spotting.png)", "", "| false alarms from | a minute |", "|---|---|"]
    lines += [f"| {cause} | {rate:.2f} |" for cause, rate in report["false_alarms_per_minute_by_cause"].items()]
    lines += ["", "| strongest AU | expressions | recall |", "|---|---|---|"]
    lines += [f"| {each['above']:g} to {each['up_to']:g} | {each['n']} | {each['recall']:.3f} |"
              for each in report["recall_by_amplitude"]]  # fmt: skip
    lines += ["", "| | median | median of the absolute | 5 % | 95 % | n |", "|---|---|---|---|---|---|"]
    lines += [_spread(f"{name}, ms late", each, 0) for name, each in report["errors_ms"].items()]
    lines += [_spread(f"decided {name.replace('_', ' ')}, s", each, 2) for name, each in report["delay_s"].items()]
    return "\n".join(lines) + "\n"


def _scores(name: str, each: Mapping[str, Any]) -> str:
    interval = _between(each.get("f1_interval"))
    scores = " | ".join(f"{each[key]:.3f}" for key in ("precision", "recall"))
    return f"| {name} | {each['f1']:.3f} | {interval} | {scores} | {each['tp']} | {each['fp']} | {each['fn']} |"


def _between(interval: Mapping[str, float] | None) -> str:
    return f"{interval['low']:.3f}-{interval['high']:.3f}" if interval else ""


def _within(interval: Mapping[str, float] | None) -> str:
    return f" (95 % {_between(interval)})" if interval else ""


def _recognition(said: Mapping[str, Any] | None) -> list[str]:
    """What the recognizer says of the expressions that were found."""
    if said is None:
        return []
    lines = ["", f"Of {said['n']} expressions that were found, three classes: UF1 {said['uf1']:.3f}"
             f"{_within(said['uf1_interval'])}, UAR {said['uar']:.3f}, "
             f"calibration error {said['calibration_error']:.3f}."]  # fmt: skip
    if "true_aus" in said:
        lines += [f"Whoever knew the true AUs would reach UF1 {said['true_aus']['uf1']:.3f} on the same."]
    found = said.get("au_f1")
    if found and found["mean"] is not None:
        each = ", ".join(f"{au} {found['aus'][au]['f1']:.2f} (n = {found['aus'][au]['n']})" for au in found["counted"])
        lines += ["", f"Mean AU F1 {found['mean']:.3f}{_within(found['interval'])} over AUs with 20 positives or more: "
                  f"{each}."]  # fmt: skip
    return lines


def _spread(name: str, each: Mapping[str, Any] | None, digits: int) -> str:
    if each is None:
        return f"| {name} | | | | | 0 |"
    cells = (f"{each[key]:.{digits}f}" for key in ("median", "median_absolute", "low", "high"))
    return f"| {name} | {' | '.join(cells)} | {each['n']} |"
