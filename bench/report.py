"""What a measurement looks like on paper: tables, a plot, docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from .compare import CONNECTIONS, Result
from .processes import BASELINE, SERVERS

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PLOT = DOCUMENT.parent / "images" / "benchmarks.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Outcome:
    """All that one `python -m bench` has measured."""

    machine: str
    servers: list[Result]
    kinds: list[Result]
    parts: dict[str, float]


def machine() -> str:
    """The date, the processor and the versions that matter, in one sentence."""
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpus, re.MULTILINE)
    virtual = " (virtual machine)" if re.search(r"^flags\s*:.*\bhypervisor\b", cpus, re.MULTILINE) else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("kong-pdk", "gevent", "greenlet", "msgpack"))
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores of {model[1] if model else 'unknown'}"
        f"{virtual}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {packages}"
    )


def tables(outcome: Outcome) -> str:
    return "\n".join(
        [
            f"Measured on {outcome.machine}.",
            "",
            *_summary(outcome),
            "",
            *_table(
                (
                    "server",
                    "connections",
                    "requests/s",
                    "p50 ms",
                    "p99 ms",
                    "CPU ms/request",
                    "PDK calls",
                    "memory MB",
                    f"rate by {BASELINE}",
                ),
                (
                    (
                        result.server,
                        result.connections,
                        f"{result.rate:,.0f}".replace(",", " "),
                        f"{result.p50:.2f}",
                        f"{result.p99:.2f}",
                        f"{result.cpu:.3f}",
                        f"{result.pdk_calls:.0f}",
                        f"{result.rss:.0f}",
                        f"{result.ratio:.1f} ×",
                    )
                    for result in outcome.servers
                ),
            ),
            "",
            "What a request costs under our server, at 16 connections:",
            "",
            *_table(
                ("request", "CPU ms", "PDK calls", "requests/s", "p99 ms"),
                (
                    (
                        result.traffic,
                        f"{result.cpu:.3f}",
                        f"{result.pdk_calls:.0f}",
                        f"{result.rate:,.0f}".replace(",", " "),
                        f"{result.p99:.2f}",
                    )
                    for result in outcome.kinds
                ),
            ),
            "",
            "Where the time of an accepted message goes (sampled each millisecond of CPU):",
            "",
            *_table(
                ("part", "µs", "share"),
                (
                    (part, f"{microseconds:.0f}", f"{microseconds / sum(outcome.parts.values()):.0%}")
                    for part, microseconds in outcome.parts.items()
                ),
            ),
        ]
    )


def _summary(outcome: Outcome) -> Iterable[str]:
    """The comparison in words, from the same numbers as the table, so that the two cannot disagree."""
    found = {(result.server, result.connections): result for result in outcome.servers}
    [ours] = {result.server for result in outcome.kinds}
    yield "**In short,** the plugin server of this project beside those of kong-pdk:"
    yield ""
    for connections in CONNECTIONS:
        own = found[ours, connections]
        others = [
            f"{own.rate / other.rate:.1f} times the throughput of {other.server}, "
            f"at {own.cpu / other.cpu:.0%} of its CPU a request"
            for other in (found[server, connections] for server in SERVERS if server != ours)
        ]
        word = "connection" if connections == 1 else "connections"
        yield f"- {connections} {word}: {'; '.join(others)}."
    accepted = {
        result.traffic: result.cpu for result in outcome.kinds if result.traffic.startswith("accepted")
    }
    yield (
        "- CPU of an accepted message, in milliseconds: "
        + "; ".join(f"{traffic.partition(', ')[2]} {cpu:.2f}" for traffic, cpu in accepted.items())
        + "."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterable[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| --- " + "| ---: " * (len(head) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"


def write(outcome: Outcome) -> None:
    """Put the tables between the marks in docs/benchmarks.md, and draw the plot beside it."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{tables(outcome)}\n{END}{after}")
    draw(outcome.servers)


def draw(results: list[Result]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(11, 4), layout="constrained")
    colours = dict(zip(SERVERS, ("#9aa5b1", "#5b7fa6", "#d9622b"), strict=True))
    for panel, (title, unit, value, digits) in zip(
        panels,
        (
            ("Throughput", "requests/s", lambda result: result.rate, 0),
            ("CPU of the plugin server", "ms per request", lambda result: result.cpu, 2),
            ("99th percentile", "ms, logarithmic", lambda result: result.p99, 1),
        ),
        strict=True,
    ):
        for index, server in enumerate(SERVERS):
            heights = [
                value(result)
                for connections in CONNECTIONS
                for result in results
                if (result.server, result.connections) == (server, connections)
            ]
            places = [place + (index - 1) * 0.27 for place in range(len(CONNECTIONS))]
            bars = panel.bar(places, heights, 0.25, label=server, color=colours[server])
            panel.bar_label(
                bars, fmt=lambda height, digits=digits: f"{height:,.{digits}f}", fontsize=7, padding=1
            )
        if "logarithmic" in unit:
            panel.set_yscale("log")
        panel.set_title(title, fontsize=10)
        panel.set_ylabel(unit, fontsize=8)
        panel.set_xticks(range(len(CONNECTIONS)), [str(count) for count in CONNECTIONS])
        panel.set_xlabel("connections", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(y=0.12)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False
    )
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
