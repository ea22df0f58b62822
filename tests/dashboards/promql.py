"""What does an expression ask for?  Its metrics and labels, with Grafana's variables filled in."""

import re
from collections.abc import Iterator
from typing import Any, Final

VARIABLES: Final = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range": "1h",
    "$namespace": ".*",
    "$job": ".*",
    "$route": ".*",
    "$slo": "99.9",
}
OF_TARGETS: Final = frozenset({"namespace", "job", "instance"})
"""What Prometheus itself puts on every series."""

_SELECTOR: Final = re.compile(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")
_BY: Final = re.compile(r"\bby \(([^)]*)\)")
_LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_REASONS: Final = re.compile(r'reason=~?"([^"]*)"')


def filled(expr: str) -> str:
    """Return an expression as Grafana would send it."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Return every metric with the labels that are asked of it."""
    return [(name, set(_LABEL.findall(inside))) for name, inside in _SELECTOR.findall(filled(expr))]


def sums_by(expr: str) -> set[str]:
    """Return every label that is summed by."""
    return {label.strip() for labels in _BY.findall(expr) for label in labels.split(",")}


def reasons(expr: str) -> set[str]:
    """Return the reasons that are asked for by name."""
    asked = filled(expr)
    return {reason for pattern in _REASONS.findall(asked) for reason in pattern.split("|")}


def queries(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every expression of a dashboard, with where it stands; those of variables as selectors."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']}: {target['refId']}", target["expr"]
    for annotation in board["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
