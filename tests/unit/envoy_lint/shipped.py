"""The shipped configurations, as trees to put a fault into, and what the linter says of a tree."""

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml

from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.reading import documents_in

ENVOY = Path(__file__).parents[3] / "envoy"
FILTER = "envoy.filters.http.ext_authz"
TYPES = "type.googleapis.com/"
PER_ROUTE = f"{TYPES}envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
PLACEHOLDERS = {"CHECK_PORT": "9001", "UPSTREAM_PORT": "8080", "TLS": "tls", "ACCESS_LOG": "access.log"}

Tree = dict[str, Any]
Edit = Callable[[Tree], object]


def text_of(name: str) -> str:
    text = (ENVOY / name).read_text(encoding="utf-8")
    return Template(text).substitute(PLACEHOLDERS) if name == "demo.yaml" else text


@cache
def _parsed(name: str) -> Tree:
    tree: Tree = yaml.load(text_of(name), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is safe
    return tree


def shipped(name: str = "envoy.yaml") -> Tree:
    # Through JSON: what an anchor and its alias share would otherwise be edited in both places.
    tree: Tree = json.loads(json.dumps(_parsed(name)))
    return tree


def linted(tree: Tree, expected: Expectations | None = None, **options: Any) -> list[Finding]:
    return findings(documents_in(json.dumps(tree), "envoy.json"), expected or Expectations(), **options)


def rules_of(tree: Tree, expected: Expectations | None = None, **options: Any) -> set[str]:
    return {each.rule.name for each in linted(tree, expected, **options)}


def edited(*edits: Edit, base: str = "envoy.yaml") -> Tree:
    tree = shipped(base)
    for edit in edits:
        edit(tree)
    return tree


def listener(tree: Tree) -> Tree:
    found: Tree = tree["static_resources"]["listeners"][-1]
    return found


def hcm(tree: Tree) -> Tree:
    found: Tree = listener(tree)["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def tls(tree: Tree) -> Tree:
    found: Tree = listener(tree)["filter_chains"][0]["transport_socket"]["typed_config"]
    return found


def entry(tree: Tree) -> Tree:
    [found] = [each for each in hcm(tree)["http_filters"] if each["name"] == FILTER]
    same: Tree = found
    return same


def authz(tree: Tree) -> Tree:
    found: Tree = entry(tree)["typed_config"]
    return found


def virtual_host(tree: Tree) -> Tree:
    found: Tree = hcm(tree)["route_config"]["virtual_hosts"][0]
    return found


def route(tree: Tree) -> Tree:
    found: Tree = virtual_host(tree)["routes"][0]
    return found


def action(tree: Tree) -> Tree:
    found: Tree = route(tree)["route"]
    return found


def cluster(tree: Tree, name: str = "ott") -> Tree:
    [found] = [each for each in tree["static_resources"]["clusters"] if each["name"] == name]
    copied: Tree = found
    return copied


def per_route(**settings: Any) -> Tree:
    return {FILTER: {"@type": PER_ROUTE, **settings}}


def wanted(path: str = "/v1/debit", **differing: Any) -> ExpectedRoute:
    usual: dict[str, Any] = {
        "name": "debit", "hosts": (), "methods": ("POST",), "is_single_use": True, "needs_body": False,
        "needs_raw_body": False,
    }  # fmt: skip
    return ExpectedRoute(path=path, **(usual | differing))


def expecting(*routes: ExpectedRoute, **differing: Any) -> Expectations:
    return Expectations(routes=routes, is_told=True, **differing)


def copy_of(tree: Tree) -> Tree:
    return copy.deepcopy(tree)
