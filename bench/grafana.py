"""The dashboard as its file describes it: panels, and their queries with the variables filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "observability" / "grafana" / "dashboards" / "yeastar-adapter.json"


@dataclass(frozen=True)
class Variables:
    """What Grafana puts in the place of variables. Times are in seconds."""

    scrape_seconds: float
    range_seconds: float
    named: Mapping[str, str]

    def fill_in(self, expression: str) -> str:
        """An expression that Prometheus understands."""
        values = {
            # Grafana's rule: four scrapes, or more where the points of a graph are farther apart.
            "__rate_interval": f"{4 * self.scrape_seconds:.0f}s",
            "__range": f"{self.range_seconds:.0f}s",
            **self.named,
        }
        for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
            expression = expression.replace(f"${name}", value)
        return expression


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    ref: str
    expression: str
    legend: str
    instant: bool

    def name(self, labels: Mapping[str, str]) -> str:
        """What the legend calls a series."""
        name = self.legend
        for label, value in labels.items():
            name = name.replace(f"{{{{{label}}}}}", value)
        return name


@dataclass(frozen=True)
class Panel:
    """One panel; `definition` is its JSON."""

    definition: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.definition["type"])

    @property
    def title(self) -> str:
        return str(self.definition["title"])

    @property
    def place(self) -> tuple[int, int, int, int]:
        """x, y, width and height in Grafana's grid, which is 24 wide."""
        grid = self.definition["gridPos"]
        return grid["x"], grid["y"], grid["w"], grid["h"]

    @property
    def targets(self) -> list[Target]:
        return [
            Target(one["refId"], one["expr"], one["legendFormat"], bool(one.get("instant")))
            for one in self.definition.get("targets", [])
        ]

    @property
    def defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = self.definition["fieldConfig"]["defaults"]
        return found

    def overrides(self, name: str) -> dict[str, Any]:
        """What is said of one field or series alone, by property."""
        found: dict[str, Any] = {}
        for override in self.definition["fieldConfig"]["overrides"]:
            if override["matcher"] == {"id": "byName", "options": name}:
                found |= {one["id"]: one["value"] for one in override["properties"]}
        return found


def read(path: Path = DASHBOARD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panels(dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    for definition in dashboard["panels"]:
        yield Panel(definition)
