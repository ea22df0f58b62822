"""Would these cases catch a mistake?  Mistakes seeded by hand, and every single restriction taken away in turn."""

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.rehearsal.cases import Suite, suite_from
from ott_extauthz.rehearsal.judging import verdict
from ott_extauthz.rehearsal.stage import rehearse
from tests.examples.conftest import EXAMPLES, NAMES, Example

LEAST = 8
SEEDED = Path(__file__).with_name("mistakes.yaml")
MISTAKES: list[dict[str, str]] = read_yaml(SEEDED.read_text(encoding="utf-8"), SEEDED.name).data["mistakes"]


@pytest.mark.parametrize("name", NAMES)
def test_enough_mistakes_are_seeded(name: str) -> None:
    assert sum(mistake["example"] == name for mistake in MISTAKES) >= LEAST


@pytest.mark.parametrize(
    ("copied", "mistake"),
    [pytest.param(each["example"], each, id=f"{each['example']}: {each['what']}") for each in MISTAKES],
    indirect=["copied"],
)
def test_a_seeded_mistake_is_caught_by_the_case_that_is_there_for_it(copied: Example, mistake: dict[str, str]) -> None:
    copied.change(mistake["file"], mistake["old"], mistake["new"])
    assert mistake["caught_by"] in copied.failing()


Document = dict[str, Any]

# What narrows a route. `brand` and `amount` only say where something stands, for the constraint that needs it.
_GUARDS = (
    "clients", "roles", "scopes", "when", "max_auth_age", "bound_to_request", "constraints", "deny_when", "issuers",
)  # fmt: skip


def policy_data(name: str) -> Document:
    """Return an example's policy as one document."""
    folder = EXAMPLES / name
    files = sorted((folder / "policy").glob("*.yaml")) or [folder / "policy.yaml"]
    whole: Document = {"routes": []}
    for file in files:
        data = read_yaml(file.read_text(encoding="utf-8"), str(file)).data
        whole = {**whole, **data, "routes": whole["routes"] + data.get("routes", [])}
    return whole


def removals(policy: Document) -> Iterator[tuple[str, Document]]:
    """Yield the policy without one restriction, for each restriction; and each with its name."""
    for index, route in enumerate(policy["routes"]):
        if route["credential"] == "public":
            continue
        for what, changed in _wider_routes(route):
            routes = [*policy["routes"][:index], changed, *policy["routes"][index + 1 :]]
            yield f"{route['name']}: {what}", {**policy, "routes": routes}
    for index, client in enumerate(policy["clients"]):
        for key in ("may_call", "spiffe_id", "sha256"):
            if key in client and len({"client_id", "spiffe_id", "sha256"} & client.keys() - {key}):
                clients = [*policy["clients"][:index], _without(client, key), *policy["clients"][index + 1 :]]
                yield f"client {client['client_id']}: {key}", {**policy, "clients": clients}


def _wider_routes(route: Document) -> Iterator[tuple[str, Document]]:
    for key in _GUARDS:
        value = route.get(key)
        if isinstance(value, dict | list) and len(value) > 1:
            for part in value:
                rest = _without(value, part) if isinstance(value, dict) else [each for each in value if each != part]
                yield f"{key} {part}", {**route, key: rest}
        elif value is not None:
            yield key, _without(route, key)
    for part in route.get("bound_to", ()):
        rest = [each for each in route["bound_to"] if each != part]
        unbound = {} if rest else {"unbound": "accept the risk"}
        yield f"bound_to {part}", {**route, "bound_to": rest, **unbound}


def _without(values: Document, key: str) -> Document:
    return {name: value for name, value in values.items() if name != key}


def _passes(suite: Suite, policy: Policy) -> bool:
    return all(not verdict(case, asyncio.run(rehearse(case, suite, policy))).differences for case in suite.cases)


@pytest.mark.parametrize("name", NAMES)
def test_no_restriction_can_be_taken_away_unnoticed(name: str) -> None:
    path = EXAMPLES / name / "cases.yaml"
    suite, _ = suite_from(path.read_text(encoding="utf-8"), str(path))
    whole = policy_data(name)
    assert _passes(suite, policy_from(json.dumps(whole), "whole"))
    unnoticed, seen = [], 0
    for what, changed in removals(copy.deepcopy(whole)):
        seen += 1
        try:
            policy = policy_from(json.dumps(changed), what)
        except DocumentError:
            continue  # `policy check` refuses it
        if _passes(suite, policy):
            unnoticed.append(what)
    assert seen > len(whole["routes"])
    assert unnoticed == []
