"""What Kubernetes changes under a running server is followed, in the very layout that the chart mounts."""

from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.reload.source import InForce, Shown
from ott_extauthz.settings import load
from tests.chart import stand_ins
from tests.chart.kubelet import Node
from tests.chart.pods import pods
from tests.chart.rendering import objects, value_sets
from tests.fakes.clock import FakeClock

HARDENED = value_sets()["hardened-values"]
NEXT = "revision: '2'\nroutes: [{name: health, match: {path: /healthz}, credential: public}]\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = {one["metadata"]["name"]: one["data"] for one in objects(HARDENED, needed={}) if one["kind"] == "ConfigMap"}
    node = Node(folder=tmp_path, config_maps=stand_ins.config_maps() | made, secrets=stand_ins.secrets())
    (pod,) = pods(HARDENED)
    node.start(pod.spec, pod.server)
    return node


class Unheard:
    def reloaded(self, source: Shown, result: Any, before: InForce[Any]) -> None:
        """Tell nobody: what is in force is asked for."""


def sources(node: Node) -> Sources:
    settings = load(node.localised(), {})
    inputs = check_inputs(settings, "ott.yaml")
    return sources_of(settings, inputs, clock=FakeClock(), listener=Unheard(), on_fault=pytest.fail)


def test_a_new_policy_in_the_config_map_is_in_force(node: Node) -> None:
    policy = sources(node).policy
    assert policy.current().revision == "1"
    node.swap("/ott/policy", {"policy.yaml": NEXT})
    polls(policy)
    assert policy.current().revision == "2"


def test_a_bad_policy_in_the_config_map_changes_nothing(node: Node) -> None:
    policy = sources(node).policy
    node.swap("/ott/policy", {"policy.yaml": NEXT.replace("routes", "roots")})
    polls(policy)
    assert policy.current().revision == "1"
    assert policy.in_force.failure is not None
    node.swap("/ott/policy", {"policy.yaml": NEXT})
    polls(policy)
    assert policy.current().revision == "2"


def test_new_keys_below_a_projected_volume_are_in_force(node: Node) -> None:
    """Each issuer's file is a folder deeper than the link that is bent."""
    followed = sources(node)
    issuer = "https://issuer.bank.example"
    (key_set,) = [one for one in followed.key_sets if one.name == issuer]
    before = set(followed.trust[issuer].keys)
    login = node.inside("/ott/trust/1/jwks.json").read_bytes()
    node.swap("/ott/trust", {"0/jwks.json": stand_ins.another_jwks(), "1/jwks.json": login}, mode=0o440)
    polls(key_set)
    after = set(followed.trust[issuer].keys)
    assert after
    assert after.isdisjoint(before)


def polls(source: Any) -> None:
    for _ in range(3):
        source.poll()
