"""The alerts as they are shipped, and a copy of them for the impatient."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ALERTS: Final = Path(__file__).parents[2] / "helm" / "ott-extauthz" / "files" / "alerts.yaml"
CASES: Final = sorted(Path(__file__).parent.glob("*.yaml"))


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    named = {rule["alert"]: rule for rule in found}
    assert len(named) == len(found), "a name stands twice"
    return named


_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def shortened(text: str, seconds: int) -> str:
    """Return rules that look back as many seconds instead of minutes, hours and days, and fire at once.

    How much something must have grown in that time is shortened with it.
    """

    def of_a_shorter_time(found: re.Match[str]) -> str:
        shortest = seconds / (int(found[2]) * _SECONDS[found[3]])
        return f"{found[1]}{int(found[4]) * shortest:g}"

    text = re.sub(r"(increase\([^\[]*\[(\d+)([smhd])\]\)+ > )([1-9]\d*)", of_a_shorter_time, text)
    text = re.sub(r"\[\d+[mhd]\]", f"[{seconds}s]", text)
    text = re.sub(r"\boffset \d+[mhd]\b", f"offset {seconds}s", text)
    return re.sub(r"\bfor: \d+[smhd]\b", "for: 0s", text)


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics that an expression asks for."""
    return set(re.findall(r"\b(?:ott|envoy)_\w+\b(?!\s*[=!])", expression)) - {"envoy_cluster_name"}
