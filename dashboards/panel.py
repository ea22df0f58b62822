"""What is one panel?  A question, its queries, and how the answer is drawn; as Grafana's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
Steps = tuple[tuple[float | None, str], ...]
"""Thresholds: from which value on which colour; the first has no value."""

PLAIN: Final[Steps] = ((None, GREEN),)
NEUTRAL: Final[Steps] = ((None, BLUE),)


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression.  ``instant`` asks for the value at the range's end only."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplar: bool = False
    heatmap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; ``width`` of Grafana's 24 columns, ``height`` in its rows of 30 pixels."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: Steps = PLAIN
    decimals: int | None = None
    stacked: bool = False
    low: float | None = 0
    high: float | None = None
    no_value: str | None = None
    colours: Mapping[str, str] | None = None
    mappings: Mapping[str, str] | None = None

    def as_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel at a place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
            "targets": [_target(query, place) for place, query in enumerate(self.queries)],
            **({"transformations": _as_table()} if self.kind == "table" else {}),
        }

    def _defaults(self) -> dict[str, Any]:
        steps = [{"value": value, "color": colour} for value, colour in self.thresholds]
        wanted: dict[str, Any] = {
            "unit": self.unit,
            "decimals": self.decimals,
            "min": self.low,
            "max": self.high,
            "noValue": self.no_value,
        }
        made = {name: value for name, value in wanted.items() if value is not None}
        made |= {"color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"}}
        made |= {"thresholds": {"mode": "absolute", "steps": steps}, "mappings": self._mappings()}
        if self.kind == "timeseries":
            made["custom"] = _lines(stacked=self.stacked, has_limit=len(steps) > 1)
        return made

    def _mappings(self) -> list[dict[str, Any]]:
        if not self.mappings:
            return []
        options = {value: {"text": text, "index": index} for index, (value, text) in enumerate(self.mappings.items())}
        return [{"type": "value", "options": options}]

    def _overrides(self) -> list[dict[str, Any]]:
        return [
            {
                "matcher": {"id": "byName", "options": name},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }
            for name, colour in (self.colours or {}).items()
        ]

    def _options(self) -> dict[str, Any]:
        if self.kind == "stat":
            reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "area", "textMode": "auto"}
        if self.kind == "table":
            return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
        if self.kind == "heatmap":
            return _heatmap(self.unit)
        legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(query: Query, place: int) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "range": not query.instant,
        "instant": query.instant,
        "exemplar": query.exemplar,
        "format": "heatmap" if query.heatmap else "table" if query.instant and not query.legend else "time_series",
    }


def _lines(*, stacked: bool, has_limit: bool) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 10,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if has_limit else "off"},
    }


def _heatmap(unit: str) -> dict[str, Any]:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "tooltip": {"mode": "single", "showColorScale": True},
        "legend": {"show": True},
    }


def _as_table() -> list[dict[str, Any]]:
    """Leave the columns that only Prometheus needs away."""
    return [{"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}}}]
