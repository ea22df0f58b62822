"""What is a dashboard?  Rows of panels, what can be chosen at its top, and its way to the others; as Grafana's JSON."""

from dataclasses import dataclass
from typing import Any, Final

from dashboards.panel import DATASOURCE, Panel

SCHEMA_VERSION: Final = 39
"""Grafana 11.0's."""

TAG: Final = "ott-extauthz"
COLUMNS: Final = 24
OF_SERVICE: Final = 'namespace=~"$namespace",job=~"$job"'
"""What every query selects; metrics of Checks are chosen by route besides."""

OF_ROUTES: Final = f'{OF_SERVICE},route=~"$route"'
SLO: Final = ("99", "99.5", "99.9", "99.95", "99.99")
_STANDARD_SLO: Final = "99.9"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together, laid out from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; ``marker`` is a metric that every server it is about exposes: it tells namespaces and jobs."""

    uid: str
    title: str
    description: str
    marker: str
    rows: tuple[Row, ...]
    has_routes: bool = False
    has_slo: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Every panel, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def as_json(self) -> dict[str, Any]:
        """Return what Grafana imports."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "utc",
            "annotations": {"list": [_alerts()]},
            "links": [_others()],
            "templating": {"list": self._variables()},
            "panels": self._laid_out(),
        }

    def _variables(self) -> list[dict[str, Any]]:
        made = [_datasource(), _query("namespace", f"label_values({self.marker}, namespace)", may_be_absent=True)]
        made.append(_query("job", f'label_values({self.marker}{{namespace=~"$namespace"}}, job)'))
        if self.has_routes:
            made.append(_query("route", f"label_values(ott_checks_total{{{OF_SERVICE}}}, route)", may_be_absent=True))
        if self.has_slo:
            made.append(_slo())
        return made

    def _laid_out(self) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
            heading = {"id": len(made) + 1, "type": "row", "title": row.title, "gridPos": place}
            made.append({**heading, "collapsed": False, "panels": []})
            y += 1
            x = height = 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, height = 0, y + height, 0
                made.append(panel.as_json(len(made) + 1, x, y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return made


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _query(name: str, query: str, *, may_be_absent: bool = False) -> dict[str, Any]:
    """Return a variable; its "all" is all that were found, or what has no such label, too (outside Kubernetes)."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        **({"allValue": ".*"} if may_be_absent else {}),
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _slo() -> dict[str, Any]:
    options = [{"text": value, "value": value, "selected": value == _STANDARD_SLO} for value in SLO]
    return {
        "name": "slo",
        "label": "Availability goal (%)",
        "type": "custom",
        "query": ",".join(SLO),
        "options": options,
        "current": {"text": _STANDARD_SLO, "value": _STANDARD_SLO},
        "multi": False,
        "includeAll": False,
    }


def _alerts() -> dict[str, Any]:
    """Return the marks of our alerts, by their names: what they sum by leaves many of them no namespace."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Ott.*",alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "tagKeys": "severity",
        "step": "30s",
    }


def _others() -> dict[str, Any]:
    return {
        "title": "ott-extauthz",
        "type": "dashboards",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
    }
