"""The chart as Helm renders it: Helm's own library, no cluster, no binary."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python import Chart

CHART: Final = Path(__file__).parents[2] / "helm" / "ott-extauthz"
RELEASE: Final = "pay"
NAMESPACE: Final = "auth"


@cache
def _chart() -> Any:
    return Chart.load(str(CHART))


def render(values: Mapping[str, Any], *, name: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """Return every template's text by its path inside the chart; Helm's error is raised as it is."""
    rendered: dict[str, str] = _chart().render(copy.deepcopy(dict(values)), name=name, namespace=namespace)
    return {path.partition("/")[2]: text for path, text in rendered.items()}


def objects(values: Mapping[str, Any], **release: str) -> list[dict[str, Any]]:
    """Return every object that the chart makes of these values."""
    texts = (text for path, text in sorted(render(values, **release).items()) if path.endswith(".yaml"))
    return [made for text in texts for made in yaml.safe_load_all(text) if made]


def named(values: Mapping[str, Any], kind: str, name: str | None = None, **release: str) -> dict[str, Any]:
    """Return the one object of a kind (and name)."""
    (found,) = [
        made for made in objects(values, **release) if made["kind"] == kind and name in (None, made["metadata"]["name"])
    ]
    return found


def value_sets() -> dict[str, dict[str, Any]]:
    """Return the shipped value sets of ``ci/``, by name."""
    return {path.stem: yaml.safe_load(path.read_text()) or {} for path in sorted((CHART / "ci").glob("*.yaml"))}
