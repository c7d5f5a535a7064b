"""Draws the dashboard with matplotlib, from the answers of a Prometheus server to the panels' own queries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.dates as dates
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from .grafana import Panel, Variables, panels, read
from .prometheus import Prometheus, Sample

COLORS = {
    "green": "#56a64b",
    "blue": "#3274d9",
    "light-blue": "#8ab8ff",
    "orange": "#ff9830",
    "yellow": "#f2cc0c",
    "red": "#e02f44",
    "purple": "#a352cc",
}
PALETTE = ("#56a64b", "#f2cc0c", "#3274d9", "#ff780a", "#e02f44", "#1f60c4", "#a352cc", "#8ab8ff")

_CELL = (0.72, 0.40)
"""Inches of one cell of Grafana's grid."""
_HEAD = 2.2
"""Rows of that grid above the panels."""
_FOOT_COLUMNS = 3
_POINTS = 240
_GREY = "#6e7681"


def draw(
    prometheus: Prometheus,
    variables: Variables,
    time: tuple[float, float],
    notes: tuple[str, Sequence[tuple[float, str]]],
    path: Path,
) -> None:
    """Draw every panel of the dashboard in its place, from the first time to the second.

    `notes`: what goes under the title, and what was done to the gateway when, which goes below all panels.
    """
    start, end = time
    dashboard = read()
    everything = list(panels(dashboard))
    below = _told_once(notes[1])
    height = max(y + h for _, y, _, h in (panel.place for panel in everything))
    rows = height + _HEAD + 0.9 + 0.55 * math.ceil(len(below) / _FOOT_COLUMNS)
    figure = plt.figure(figsize=(24 * _CELL[0], rows * _CELL[1]), facecolor="#f4f5f5")
    figure.text(0.008, 1 - 0.85 / rows, dashboard["title"], fontsize=17, weight="bold", va="center")
    figure.text(0.008, 1 - 1.7 / rows, notes[0], fontsize=9, color=_GREY, va="center")
    for panel in everything:
        x, y, w, h = panel.place
        box = (x / 24, 1 - (y + _HEAD + h) / rows, w / 24, h / rows)
        if panel.kind == "row":
            figure.text(box[0] + 0.006, box[1] + box[3] * 0.35, panel.title, fontsize=11.5, weight="bold")
            continue
        _frame(figure, box, panel)
        if panel.kind == "stat":
            _stat(figure, box, panel, prometheus, end, variables)
        elif panel.kind == "table":
            _table(figure, box, panel, prometheus, end, variables)
        else:
            axes = figure.add_axes(_inside(box, rows, panel.kind))
            drawing = _timeline if panel.kind == "state-timeline" else _lines
            step = max(1.0, (end - start) / _POINTS)
            drawing(axes, panel, prometheus, (start, end, step), variables)
    figure.text(
        0.008, 1 - (height + _HEAD + 0.55) / rows, "What was done", fontsize=9, weight="bold", va="center"
    )
    for number, line in enumerate(below):
        row, column = number // _FOOT_COLUMNS, number % _FOOT_COLUMNS
        at = 1 - (height + _HEAD + 0.55 + 0.55 * row) / rows
        figure.text(0.085 + 0.305 * column, at, line, fontsize=8.5, color=_GREY, va="center")
    figure.savefig(path, dpi=90, facecolor=figure.get_facecolor())
    plt.close(figure)


def _told_once(happened: Sequence[tuple[float, str]]) -> list[str]:
    lines: list[str] = []
    for what, times in itertools.groupby(happened, key=lambda one: one[1]):
        at = [datetime.fromtimestamp(time, timezone.utc).strftime("%H:%M:%S") for time, _ in times]
        lines.append(f"{at[0]}  {what}" + (f", {len(at)} times in all" if len(at) > 1 else ""))
    return lines


def _frame(figure: Any, box: tuple[float, float, float, float], panel: Panel) -> None:
    left, bottom, width, height = box
    gap_x, gap_y = 0.0025, 0.0018
    figure.patches.append(
        Rectangle(
            (left + gap_x, bottom + gap_y),
            width - 2 * gap_x,
            height - 2 * gap_y,
            transform=figure.transFigure,
            facecolor="white",
            edgecolor="#d0d7de",
            linewidth=0.8,
            zorder=-1,
        )
    )
    if panel.kind != "stat":
        figure.text(
            left + 0.007, bottom + height - 0.0075, panel.title, fontsize=9.5, weight="bold", va="center"
        )


def _inside(
    box: tuple[float, float, float, float], rows: float, kind: str
) -> tuple[float, float, float, float]:
    left, bottom, width, height = box
    margin = 0.075 if kind == "state-timeline" else 0.045
    low = (1.75 if kind == "state-timeline" else 2.0) / rows
    return left + margin, bottom + low, width - margin - 0.014, height - low - 1.0 / rows


def _values(prometheus: Prometheus, panel: Panel, at: float, variables: Variables) -> list[list[Sample]]:
    return [prometheus.query(variables.fill_in(target.expression), at) for target in panel.targets]


def _stat(
    figure: Any, box: Any, panel: Panel, prometheus: Prometheus, at: float, variables: Variables
) -> None:
    left, bottom, width, height = box
    [found] = _values(prometheus, panel, at, variables)
    if found and not math.isnan(found[0][1]):
        text, color = _shown(panel.defaults, found[0][1])
    else:
        text, color = str(panel.defaults.get("noValue", "no data")), _threshold(panel.defaults, None)
    figure.patches.append(
        FancyBboxPatch(
            (left + 0.005, bottom + 0.004),
            width - 0.010,
            height - 0.008,
            boxstyle="round,pad=0,rounding_size=0.003",
            transform=figure.transFigure,
            facecolor=color,
            linewidth=0,
            zorder=0,
        )
    )
    centre = left + width / 2
    figure.text(
        centre, bottom + height * 0.76, panel.title, color="white", fontsize=9.5, ha="center", va="center"
    )
    size = 20 if len(text) < 12 else 12.5
    figure.text(
        centre,
        bottom + height * 0.40,
        text,
        color="white",
        fontsize=size,
        weight="bold",
        ha="center",
        va="center",
    )


def _shown(defaults: Mapping[str, Any], value: float) -> tuple[str, str]:
    """A value's text and colour: a mapping's, or its unit's and its threshold's."""
    for mapping in defaults.get("mappings", []):
        result = mapping["options"].get(f"{value:g}")
        if result is not None:
            return result["text"], COLORS[result["color"]]
    return _text(value, defaults), _threshold(defaults, value)


def _threshold(defaults: Mapping[str, Any], value: float | None) -> str:
    color = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or (value is not None and value >= step["value"]):
            color = step["color"]
    return COLORS[color]


def _text(value: float, defaults: Mapping[str, Any]) -> str:
    decimals = defaults.get("decimals")
    unit = defaults.get("unit", "short")
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f} %"
    if unit == "s" and value >= 1:
        return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"
    if unit == "s":
        return f"{value * 1000:.3g} ms"
    if unit == "ms":
        return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    suffix = {"reqps": " req/s", "ops": " /s", "opm": " /min"}.get(unit, "")
    return f"{value:.{decimals}f}{suffix}" if decimals is not None else f"{value:.3g}{suffix}"


def _lines(
    axes: Any, panel: Panel, prometheus: Prometheus, time: tuple[float, float, float], variables: Variables
) -> None:
    start, end, step = time
    found: list[tuple[str, list[tuple[float, float]]]] = []
    for target in panel.targets:
        for labels, points in prometheus.query_range(variables.fill_in(target.expression), start, end, step):
            found.append((target.name(labels), points))
    grid = [start + step * index for index in range(int((end - start) / step) + 1)]
    times = [datetime.fromtimestamp(at, timezone.utc) for at in grid]
    custom = panel.defaults["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    palette = iter(PALETTE * 4)
    base = [0.0] * len(grid)
    handles = []
    for name, points in sorted(found, key=lambda one: one[0]) if "{{" in panel.targets[0].legend else found:
        fixed = panel.overrides(name).get("color", {}).get("fixedColor")
        color = COLORS[fixed] if fixed else next(palette)
        by_time = {round((at - start) / step): value for at, value in points}
        values = [by_time.get(index, math.nan) for index in range(len(grid))]
        if stacked:
            above = [
                low + (0.0 if math.isnan(value) else value) for low, value in zip(base, values, strict=True)
            ]
            axes.fill_between(times, base, above, color=color, alpha=0.75, linewidth=0)
            base = above
        else:
            axes.plot(times, values, color=color, linewidth=1.4)
        handles.append(Patch(color=color, label=name))
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(bottom=0)
    if axes.get_ylim()[1] < 1e-9 or not found:
        axes.set_ylim(0, 1)
    unit = {key: value for key, value in panel.defaults.items() if key == "unit"}
    axes.yaxis.set_major_formatter(lambda value, _: _text(value, unit) if value else "0")
    _dress(axes)
    if handles:
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(-0.08, -0.13),
            ncols=4 if panel.place[2] > 8 else 3,
            fontsize=7.5,
            frameon=False,
            handlelength=1,
            handleheight=0.6,
            columnspacing=1.2,
        )


def _timeline(
    axes: Any, panel: Panel, prometheus: Prometheus, time: tuple[float, float, float], variables: Variables
) -> None:
    start, end, step = time
    [target] = panel.targets
    found = prometheus.query_range(variables.fill_in(target.expression), start, end, step)
    found = sorted(found, key=lambda one: target.name(one[0]), reverse=True)
    width = step / 86400
    for height, (_, points) in enumerate(found):
        for at, value in points:
            if not math.isnan(value):
                left = dates.date2num(datetime.fromtimestamp(at, timezone.utc))
                axes.barh(
                    height, width * 1.05, left=left, height=0.8, color=_threshold(panel.defaults, value)
                )
    axes.set_yticks(range(len(found)), [target.name(labels) for labels, _ in found], fontsize=8.5)
    begin, finish = (dates.date2num(datetime.fromtimestamp(at, timezone.utc)) for at in (start, end))
    axes.set_xlim(begin, finish)
    axes.set_ylim(-0.5, max(len(found), 1) - 0.5)
    axes.xaxis_date()
    _dress(axes)
    axes.grid(visible=False)
    steps = panel.defaults["thresholds"]["steps"]
    names = ["none refused"] + [f"{step['value']:.0%} or more" for step in steps[1:]]
    handles = [Patch(color=COLORS[one["color"]], label=name) for one, name in zip(steps, names, strict=True)]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(-0.06, -0.14), ncols=4, fontsize=7.5, frameon=False
    )


def _dress(axes: Any) -> None:
    begin, end = axes.get_xlim()
    axes.xaxis.set_major_locator(dates.MinuteLocator(interval=max(1, round((end - begin) * 24 * 60 / 6))))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=timezone.utc))
    axes.tick_params(labelsize=7.5, colors=_GREY, length=2)
    axes.grid(color="#eaecef", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _table(
    figure: Any, box: Any, panel: Panel, prometheus: Prometheus, at: float, variables: Variables
) -> None:
    columns, rows = _cells(panel, _values(prometheus, panel, at, variables))
    left, bottom, width, height = box
    line = height / 11.5
    top = bottom + height - 2.0 * line
    first = 0.22 if len(columns) > 5 else 0.30
    edges = [left + 0.008] + [
        left + width * (first + (1 - first) * index / (len(columns) - 1)) for index in range(len(columns) - 1)
    ]
    for edge, (title, _) in zip(edges, columns, strict=True):
        figure.text(edge, top, title, fontsize=8, weight="bold", color=_GREY, va="center")
    for number, row in enumerate(rows[:9], 1):
        for edge, (_, color), cell in zip(edges, columns, row, strict=True):
            figure.text(edge, top - number * line, cell, fontsize=8.5, color=color, va="center")


def _cells(panel: Panel, answers: Sequence[list[Sample]]) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Columns (title, colour) and rows of a table, as the panel's transformations make them."""
    if len(answers) == 1:
        organised = panel.definition["transformations"][0]["options"]
        order = sorted(organised["indexByName"], key=organised["indexByName"].__getitem__)
        columns = [(organised["renameByName"].get(name, name), "black") for name in order]
        found = sorted(answers[0], key=lambda sample: -sample[1])
        rows = [
            [f"{value:.0f}" if name == "Value" else labels.get(name, "") for name in order]
            for labels, value in found
        ]
        return columns, rows
    consumers = sorted({labels["consumer"] for answer in answers for labels, _ in answer})
    columns = [("consumer", "black")]
    table = [[consumer] for consumer in consumers]
    for target, answer in zip(panel.targets, answers, strict=True):
        said = panel.overrides(f"Value #{target.ref}")
        columns.append((said["displayName"], COLORS[said["color"]["fixedColor"]]))
        values = {labels["consumer"]: value for labels, value in answer}
        for row, consumer in zip(table, consumers, strict=True):
            row.append(f"{values[consumer]:.0f}" if consumer in values else "")
    return columns, table
