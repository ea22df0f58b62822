"""The alerts as they are shipped, and a copy of them for the impatient."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ALERTS: Final = Path(__file__).parents[2] / "helm" / "ott-extauthz" / "files" / "alerts.yaml"
CASES: Final = sorted(Path(__file__).parent.glob("*.yaml"))


def rules() -> list[dict[str, Any]]:
    """Return every rule in its order: alerts, and what is recorded for them."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    found = [rule for rule in rules() if "alert" in rule]
    named = {rule["alert"]: rule for rule in found}
    assert len(named) == len(found), "a name stands twice"
    return named


def recorded() -> dict[str, str]:
    """Return the expressions that are recorded, by their names."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def shortened(text: str, seconds: int) -> str:
    """Return rules that look back as many seconds instead of minutes, hours and days, and fire at once.

    How much something must have grown in that time is shortened with it.
    """

    def of_a_shorter_time(found: re.Match[str]) -> str:
        shortest = seconds / (int(found[2]) * _SECONDS[found[3]])
        return f"{found[1]}{int(found[4]) * shortest:g}"

    text = re.sub(r"(increase\([^\[]*\[(\d+)([smhd])\]\)+ > )([1-9]\d*)", of_a_shorter_time, text)
    text = re.sub(r"\[\d+[mhd]:\d+[smhd]\]", f"[{seconds}s:1s]", text)
    text = re.sub(r"\[\d+[mhd]\]", f"[{seconds}s]", text)
    text = re.sub(r"\boffset \d+[mhd]\b", f"offset {seconds}s", text)
    return re.sub(r"\bfor: \d+[smhd]\b", "for: 0s", text)


_NAME: Final = re.compile(r"(?<![\w:])(?:ott:[\w:]+|(?:ott|envoy)_\w+)(?![\w:])")
_NAMED: Final = re.compile(r'\{__name__=~"([^"]+)"')
_BY: Final = re.compile(r"\bby \(([^)]*)\) ?(?=\()")
_SELECTOR: Final = re.compile(r"(?<![\w:])((?:ott|envoy)[\w:]+)\{([^}]*)\}")
_MATCHER: Final = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
_BRACES_OR_QUOTED: Final = re.compile(r'\{[^}]*\}|"[^"]*"')


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics that an expression asks for; a pattern of names stands for itself."""
    labels = {label for _, named in sums(expression) for label in named}
    return set(_NAME.findall(_BRACES_OR_QUOTED.sub("", expression))) - labels | set(_NAMED.findall(expression))


def selectors(expression: str) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each metric, a label that is asked of it, and the values that are."""
    for metric, inside in _SELECTOR.findall(expression):
        for label, values in _MATCHER.findall(inside):
            yield metric, label, set(values.split("|"))


def sums(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield what is summed, with the labels that are left of it."""
    for found in _BY.finditer(expression):
        depth, end = 0, found.end()
        for end in range(found.end(), len(expression)):
            depth += {"(": 1, ")": -1}.get(expression[end], 0)
            if depth == 0:
                break
        yield expression[found.end() : end + 1], {label.strip() for label in found[1].split(",")} - {""}
