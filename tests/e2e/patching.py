"""How do Istio and Envoy Gateway apply a patch?  As their source says: what the chart renders is what is tested."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.e2e.gateway import Tree

_JSON_PATH = re.compile(r"\.\.(\w+)\[\?\(@\.name (=~|==) '([^']+)'\)\]\.typed_config")


class NothingPatchedError(AssertionError):
    """A patch found nothing to change; in a mesh nobody would say so."""


def with_envoy_filter(listener: Tree, made: Mapping[str, Any], context: str) -> None:
    """Apply an EnvoyFilter's MERGE patches, all of which must find what they are for."""
    for patch in made["spec"]["configPatches"]:
        assert patch["match"]["context"] == context
        assert patch["patch"]["operation"] == "MERGE"
        targets = list(_matched(listener, patch["match"]["listener"]["filterChain"]["filter"]))
        if not targets:
            raise NothingPatchedError(patch["match"])
        for target in targets:
            _merge(target, patch["patch"]["value"])


def _matched(listener: Tree, match: Mapping[str, Any]) -> Iterator[Tree]:
    for chain in listener["filter_chains"]:
        for network in chain["filters"]:
            if network["name"] != match["name"]:
                continue
            if "subFilter" not in match:
                yield network
                continue
            for http in network["typed_config"]["http_filters"]:
                if http["name"] == match["subFilter"]["name"]:
                    yield http


def _merge(into: Tree, patch: Mapping[str, Any]) -> None:
    """Merge as protobuf does: messages member by member, lists one after the other; a default value changes nothing."""
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif isinstance(value, list):
            into[name] = [*into.get(name, []), *copy.deepcopy(value)]
        elif value not in (False, 0, ""):
            into[name] = copy.deepcopy(value)


def with_envoy_patch_policy(listener: Tree, made: Mapping[str, Any]) -> None:
    """Apply an EnvoyPatchPolicy's operations for this listener; a path that finds nothing is an error there too."""
    operations = [one["operation"] for one in made["spec"]["jsonPatches"] if one["name"] == listener["name"]]
    if not operations:
        raise NothingPatchedError(listener["name"])
    for operation in operations:
        found = list(_found(listener, operation["jsonPath"]))
        if not found:
            raise NothingPatchedError(operation["jsonPath"])
        assert operation["op"] == "add"
        assert operation["path"].count("/") == 1
        for target in found:
            target[operation["path"].removeprefix("/")] = copy.deepcopy(operation["value"])


def _found(tree: object, json_path: str) -> Iterator[Tree]:
    read = _JSON_PATH.fullmatch(json_path)
    assert read, f"a path of another form: {json_path}"
    key, operator, wanted = read.groups()
    for item in _under(tree, key):
        name = item["name"]
        if re.search(wanted, name) if operator == "=~" else wanted == name:
            yield item["typed_config"]


def _under(tree: object, key: str) -> Iterator[Tree]:
    """Return what lists of this name hold, however deep."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield from value
            yield from _under(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _under(value, key)
