"""docs/images/soak.png: the run second by second. Needs matplotlib (the extra `bench`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "docs" / "images" / "soak.png"


def write(outcome: dict[str, Any], target: Path = TARGET) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (flow, times, memory) = pyplot.subplots(
        3, 1, figsize=(10, 7.5), sharex=True, height_ratios=(3, 3, 2), layout="constrained"
    )
    rows, samples = outcome["seconds"], outcome["samples"]
    at = [row["second"] / 60 for row in rows]
    parts = [[row[name] for row in rows] for name in ("accepted", "refused", "failed")]
    labels = ("accepted (200)", "refused, as they should be (400, 401)", "failed (500, no answer)")
    flow.stackplot(at, *parts, labels=labels, colors=("#4c9f70", "#b9c4cf", "#d1495b"))
    flow.set_ylabel("requests a second")
    flow.set_ylim(bottom=0)
    flow.legend(loc="lower right", fontsize=8, ncols=3)
    for name, colour in (("max", "#d1495b"), ("p99", "#edae49"), ("p50", "#30638e")):
        times.plot(at, [row[name] for row in rows], color=colour, linewidth=0.8, label=name)
    times.set_yscale("log")
    times.set_ylabel("milliseconds")
    times.legend(loc="upper right", fontsize=8, ncols=3)
    times.grid(axis="y", alpha=0.3)
    moments = [sample["second"] / 60 for sample in samples]
    memory.plot(
        moments, [sample["megabytes"] for sample in samples], color="#30638e", label="plugin server, MB"
    )
    memory.plot(
        moments, [sample["open_events"] for sample in samples], color="#edae49", label="its open events"
    )
    memory.set_ylim(bottom=0)
    memory.legend(loc="lower right", fontsize=8, ncols=2)
    memory.set_xlabel("minutes")
    for second, name in outcome["incidents"]:
        for axes in (flow, times, memory):
            axes.axvline(second / 60, color="#444444", linewidth=0.6, linestyle=":")
        flow.text(second / 60, flow.get_ylim()[1], f" {name}", rotation=35, fontsize=7, va="bottom")
    flow.set_xlim(0, max(at))
    flow.spines[["top", "right"]].set_visible(False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
