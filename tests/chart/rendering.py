"""The chart as Helm renders it: Helm's own library, no cluster, no binary."""

import json
import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python import Chart, HelmRenderError, HelmValuesError

CHART: Final = Path(__file__).parents[2] / "helm" / "ott-extauthz"
RELEASE: Final = "pay"
NAMESPACE: Final = "auth"

NEEDED: Final[Mapping[str, Any]] = {
    "policy": {
        "inline": {
            "revision": "1",
            "routes": [{"name": "health", "match": {"path": "/healthz"}, "credential": "public"}],
        }
    },
    "store": {"type": "standalone", "servers": ["valkey.stores.svc:6379"]},
    "networkPolicy": {"envoys": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}]},
}
"""What the chart does not install without, for tests of something else."""


@cache
def _chart() -> Any:
    return Chart.load(str(CHART))


def render(
    values: Mapping[str, Any],
    *,
    name: str = RELEASE,
    namespace: str = NAMESPACE,
    needed: Mapping[str, Any] = NEEDED,
) -> dict[str, str]:
    """Return every template's text by its path inside the chart; Helm's error is raised as it is.

    ``needed`` fills in the sections that ``values`` leave out.
    """
    return dict(_rendered(json.dumps({**needed, **values}), name, namespace))


@cache  # hundreds of tests look at some twenty value sets
def _rendered(values: str, name: str, namespace: str) -> Mapping[str, str]:
    rendered: dict[str, str] = _chart().render(json.loads(values), name=name, namespace=namespace)
    return {path.partition("/")[2]: text for path, text in rendered.items()}


def objects(values: Mapping[str, Any], **release: Any) -> list[dict[str, Any]]:
    """Return every object that the chart makes of these values; they are the caller's to change."""
    texts = (text for path, text in sorted(render(values, **release).items()) if path.endswith(".yaml"))
    return [made for text in texts for made in pickle.loads(_read(text)) if made]  # noqa: S301 - our own bytes


@cache
def _read(text: str) -> bytes:
    """Pickled, which is read back many times faster than YAML."""
    return pickle.dumps(list(yaml.load_all(text, Loader=yaml.CSafeLoader)))


def named(values: Mapping[str, Any], kind: str, name: str | None = None, **release: Any) -> dict[str, Any]:
    """Return the one object of a kind (and name)."""
    (found,) = [
        made for made in objects(values, **release) if made["kind"] == kind and name in (None, made["metadata"]["name"])
    ]
    return found


def value_sets() -> dict[str, dict[str, Any]]:
    """Return the shipped value sets of ``ci/``, by name; they are the caller's to change."""
    return {path.stem: pickle.loads(_read(path.read_text()))[0] for path in sorted((CHART / "ci").glob("*.yaml"))}  # noqa: S301


def problems(values: Mapping[str, Any], *, needed: Mapping[str, Any] = NEEDED) -> str:
    """Return what Helm says against installing these values; empty where it installs them."""
    try:
        render(values, needed=needed)
    except (HelmRenderError, HelmValuesError) as error:
        return str(error)
    return ""
