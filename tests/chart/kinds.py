"""Does an object fit its kind?  Kubernetes' own schemas for core kinds, small closed ones of ours for all others."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

VERSIONS: Final = ("1.30", "1.33", "1.37")
"""The oldest that knows every field, the newest there is, and one between."""

_OWN: Final = Path(__file__).parent / "schemas"
CORE: Final = frozenset(
    {"", "apps", "autoscaling", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"}
)
"""The groups of Kubernetes' own kinds."""


def misfits(made: dict[str, Any], *, versions: Sequence[str] = VERSIONS) -> list[str]:
    """Return why an object is none of its kind, in any of the versions; a kind that nobody knows is a misfit, too."""
    group = made["apiVersion"].rpartition("/")[0]
    if group in CORE:
        return [f"{version}: {each}" for version in versions for each in _said(_core(version, _id(made)), made)]
    own = _own_kinds().get((made["apiVersion"], made["kind"]))
    return ["no schema in tests/chart/schemas"] if own is None else list(_said(own, made))


def open_places(schema: Any, place: str = "") -> Iterator[str]:
    """Yield where a schema lists properties and lets others pass: a typo would go unseen there."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield place
        for key, part in schema.items():
            yield from open_places(part, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from open_places(part, f"{place}/{index}")


@cache
def own_schemas() -> dict[str, Any]:
    """Return the schemas of other projects' kinds, by `apiVersion/kind`."""
    files = [yaml.load(path.read_text(), Loader=yaml.CSafeLoader) for path in sorted(_OWN.glob("*.yaml"))]
    return {
        f"{version}/{kind}": one for file in files for version, kinds in file.items() for kind, one in kinds.items()
    }


def _said(validator: Draft202012Validator, made: dict[str, Any]) -> Iterator[str]:
    for error in validator.iter_errors(made):
        yield f"{made['kind']} {made['metadata']['name']} {error.json_path}: {error.message}"


def _id(made: dict[str, Any]) -> str:
    group, _, version = made["apiVersion"].rpartition("/")
    return "-".join(part for part in (made["kind"].lower(), group.partition(".")[0], version) if part)


@cache
def _core(version: str, kind: str) -> Draft202012Validator:
    schema = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/{kind}.json", version)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    definitions = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json", version)
    return Resource.from_contents(definitions) @ Registry()


@cache
def _own_kinds() -> dict[tuple[str, str], Draft202012Validator]:
    metadata = yaml.safe_load((_OWN / "metadata.yaml").read_text())["v1"]["Metadata"]
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    found = {}
    for name, schema in own_schemas().items():
        version, _, kind = name.rpartition("/")
        whole = {**schema, "type": "object", "properties": {**head, **schema.get("properties", {})}}
        found[version, kind] = Draft202012Validator({**whole, "additionalProperties": False})
    return found
