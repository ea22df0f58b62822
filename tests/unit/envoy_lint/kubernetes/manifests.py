"""Good manifests, and small edits of them."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes import findings

HERE: Final = Path(__file__).parent
GONE: Final = object()
MESH: Final = "ConfigMap/istio"

Edit = tuple[str, str, Any]
"""An object as ``Kind/name``, a path in it, and what stands there then; ``GONE`` for nothing."""


def route(name: str, path: str, *, single_use: bool = False, body: bool = False, raw: bool = False) -> ExpectedRoute:
    return ExpectedRoute(
        name=name,
        hosts=("wallet.api",),
        methods=("POST",),
        path=path,
        is_single_use=single_use,
        needs_body=body,
        needs_raw_body=raw,
    )


DEBIT: Final = route("wallet-debit", "/v1/wallets/{wallet}/debit", single_use=True)
WEBHOOK: Final = route("webhook", "/hooks/{partner}", body=True, raw=True)
XFCC: Final = Expectations(certificate_source="xfcc", routes=(DEBIT, WEBHOOK), is_told=True)
PEER: Final = Expectations(routes=(DEBIT, WEBHOOK), is_told=True)
UNTOLD: Final = Expectations()


def good(name: str) -> list[dict[str, Any]]:
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / f"{name}.yaml").read_text()))


def edited(objects: Sequence[dict[str, Any]], *edits: Edit) -> list[dict[str, Any]]:
    """Return the objects after the edits; with no path a whole object is put in or, with ``GONE``, taken out."""
    found = {f"{one['kind']}/{one['metadata']['name']}": copy.deepcopy(one) for one in objects}
    for which, path, given in edits:
        value: Any = given if given is GONE else copy.deepcopy(given)
        if not path and value is GONE:
            del found[which]
        elif not path:
            found[which] = value
        elif which == MESH and not path.startswith(("data", "metadata")):
            mesh = yaml.safe_load(found[which]["data"]["mesh"])
            _put(mesh, path, value)
            found[which]["data"]["mesh"] = yaml.safe_dump(mesh)
        else:
            _put(found[which], path, value)
    return list(found.values())


@dataclass(frozen=True)
class Fault:
    """A small edit, the rule that finds it, and how the place ends that it is found at."""

    rule: str
    edit: Edit
    found: str


@cache
def faults(name: str) -> list[Fault]:
    listed = yaml.safe_load((HERE / f"{name}-faults.yaml").read_text())
    return [Fault(one["rule"], (one["of"], one.get("at", ""), one.get("now", GONE)), one["found"]) for one in listed]


def named(fault: Fault) -> str:
    """Name a case; the same in every process, whatever order it is run in."""
    value = "gone" if fault.edit[2] is GONE else hashlib.sha256(repr(fault.edit[2]).encode()).hexdigest()[:6]
    return f"{fault.rule}-{fault.edit[0]}-{fault.edit[1]}-{value}"


def told_in_full(objects: Sequence[dict[str, Any]], expected: Expectations) -> list[Finding]:
    documents = [Document(name=f"{one.get('kind')}/{one.get('metadata', {}).get('name')}", tree=one) for one in objects]
    return list(findings(documents, expected))


def told(objects: Sequence[dict[str, Any]], expected: Expectations) -> list[tuple[str, str]]:
    """Return each finding's rule, and its place."""
    return [(found.rule.name, str(found.place)) for found in told_in_full(objects, expected)]


def _put(tree: Any, path: str, value: Any) -> None:
    steps: list[Any] = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in steps[:-1]:
        tree = tree[step] if isinstance(tree, list) else tree.setdefault(step, {})
    if value is GONE:
        del tree[steps[-1]]
    else:
        tree[steps[-1]] = value
