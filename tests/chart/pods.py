"""Which pods does a release run?  Those of its workloads, and Envoy's own where the server sits beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.chart.rendering import objects

ENVOY: Final = {"name": "envoy", "image": "envoyproxy/envoy:v1.40.0"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template: ``component`` is check, issuer or test."""

    component: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def server(self) -> dict[str, Any]:
        """The container that is ours."""
        found = [*self.spec["containers"], *self.spec.get("initContainers", [])]
        (ours,) = [one for one in found if one["name"] in ("ott-extauthz", "ott-issuer")]
        return dict(ours)


def pods(values: Mapping[str, Any], **release: Any) -> list[Pod]:
    """Return the pods of the servers, each once."""
    release.setdefault("needed", {})
    return list(_pods(objects(values, **release)))


def _pods(made: list[dict[str, Any]]) -> Iterator[Pod]:
    for one in made:
        if one["kind"] in ("Deployment", "DaemonSet"):
            template = one["spec"]["template"]
            labels = template["metadata"]["labels"]
            yield Pod(labels["app.kubernetes.io/component"], template["metadata"], template["spec"])
        elif one["kind"] == "ConfigMap" and "patch.yaml" in one["data"]:
            yield _beside_envoy(yaml.safe_load(one["data"]["patch.yaml"])["spec"]["template"])


def _beside_envoy(patch: dict[str, Any]) -> Pod:
    """Lay the patch over Envoy's pod as a strategic merge does it: containers are merged by name."""
    containers = [
        {**ENVOY, **one, "image": one.get("image", ENVOY["image"])} if "args" not in one else one
        for one in patch["spec"]["containers"]
    ]
    return Pod("check", patch["metadata"], {**patch["spec"], "containers": containers})
