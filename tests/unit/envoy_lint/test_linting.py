"""Which rules are asked about a document?"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ott_extauthz.envoy_lint import kubernetes
from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.linting import findings, is_known
from tests.unit.envoy_lint.shipped import Tree, authz, edited

RULE = Rule(name="a-note", severity=Severity.NOTE, title="t", why="w", mend="m")
OBJECT: Tree = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
MESH: Tree = {"extensionProviders": []}


def test_objects_and_mesh_configurations_go_together_to_their_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def found(objects: Sequence[Document], expected: Expectations) -> Iterator[Finding]:
        given.append(([one.name for one in objects], expected))
        yield Finding(rule=RULE, place=objects[0].place("spec"), detail="d")

    monkeypatch.setattr(kubernetes, "findings", found)
    envoy = edited(lambda tree: authz(tree).update(failure_mode_allow=True))
    documents = [Document(name=str(at), tree=tree) for at, tree in enumerate([OBJECT, envoy, MESH])]
    expected = Expectations(certificate_source="xfcc")
    told = [(each.rule.name, each.place.document) for each in findings(documents, expected)]
    assert given == [(["0", "2"], expected)]
    assert told == [("failure-mode-allow", "1"), ("a-note", "0")]  # the worst first


@pytest.mark.parametrize(
    ("tree", "known"),
    [
        (OBJECT, True), (MESH, True), ({"meshConfig": {}}, True), ({"kind": "Lonely"}, False), ({"replicas": 1}, False),
        ({"configs": []}, True), ({"resources": []}, True), ({"configs": {}}, False), ({"static_resources": {}}, True),
        ({"staticResources": {}}, True),
    ],
)  # fmt: skip
def test_what_has_rules_is_known(tree: Tree, *, known: bool) -> None:
    assert is_known(Document(name="x", tree=tree)) is known
