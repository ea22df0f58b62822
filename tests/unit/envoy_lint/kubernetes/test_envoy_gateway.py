"""Each rule for Envoy Gateway finds its fault, a small edit of a gateway that is right, and no other."""

from dataclasses import replace
from typing import Any

import pytest

from ott_extauthz.envoy_lint.expectations import Expectations
from tests.unit.envoy_lint.kubernetes.manifests import (
    DEBIT,
    GONE,
    PEER,
    UNTOLD,
    XFCC,
    Edit,
    Fault,
    edited,
    faults,
    good,
    named,
    told,
)

FAULTS = faults("envoy-gateway")
EXPECTED: dict[str, Expectations] = {"gateway-no-peer-certificate": PEER, "caller-address-from-header": UNTOLD}
PATCHES = good("envoy-gateway")[-1]["spec"]["jsonPatches"]
POLICY, ROUTE, TRAFFIC = "SecurityPolicy/ott", "HTTPRoute/wallet", "BackendTrafficPolicy/wallet"


def test_a_gateway_that_is_right_has_no_findings() -> None:
    for expected in (XFCC, UNTOLD):
        assert told(good("envoy-gateway"), expected) == []


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_fault_is_found_where_it_stands(fault: Fault) -> None:
    found = told(edited(good("envoy-gateway"), fault.edit), EXPECTED.get(fault.rule, XFCC))
    places = [where for name, where in found if name == fault.rule]
    assert len(places) == 1, found
    assert places[0].endswith(fault.found)


def test_the_certificate_that_a_patch_has_sent_is_sent() -> None:
    path = "/default_filter_chain/filters/0/typed_config/http_filters/0/typed_config/include_peer_certificate"
    patch: Edit = ("EnvoyPatchPolicy/ott", "spec.jsonPatches.1.operation.path", path)
    found = dict(told(edited(good("envoy-gateway"), patch), PEER))
    assert "gateway-no-peer-certificate" not in found
    assert "gateway-body-as-text" in found


def test_the_status_may_come_from_a_patch() -> None:
    status = {"op": "add", "jsonPath": "..typed_config", "path": "/status_on_error", "value": {"code": 503}}
    edits: list[Edit] = [
        (POLICY, "spec.extAuth.statusOnError", GONE),
        ("EnvoyPatchPolicy/ott", "spec.jsonPatches", [*PATCHES, {"operation": status}]),
    ]
    assert told(edited(good("envoy-gateway"), *edits), XFCC) == []


def test_a_policy_of_another_server_is_left_alone() -> None:
    other = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "SecurityPolicy",
        "metadata": {"name": "opa", "namespace": "edge"},
        "spec": {"extAuth": {"failOpen": True, "grpc": {"backendRefs": [{"name": "opa"}]}}},
    }
    assert told(edited(good("envoy-gateway"), ("SecurityPolicy/opa", "", other)), XFCC) == []


def test_gateways_that_we_do_not_protect_are_left_alone() -> None:
    edits: list[Edit] = [
        ("ClientTrafficPolicy/edge", "spec.targetRefs.0.name", "inner"),
        ("ClientTrafficPolicy/edge", "spec.headers.xForwardedClientCert.mode", "ForwardOnly"),
    ]
    assert told(edited(good("envoy-gateway"), *edits), XFCC) == []


def test_a_gateway_is_protected_through_its_route() -> None:
    edits: list[Edit] = [
        (POLICY, "spec.targetRefs", [{"kind": "HTTPRoute", "name": "wallet"}]),
        ("ClientTrafficPolicy/edge", "spec.headers.xForwardedClientCert.mode", "ForwardOnly"),
    ]
    assert [rule for rule, _ in told(edited(good("envoy-gateway"), *edits), XFCC)] == ["xfcc-forgeable"]


def test_the_retries_of_a_gateway_are_those_of_its_routes() -> None:
    at_gateway: list[Edit] = [
        (TRAFFIC, "spec.retry", {"numRetries": 3}),
        (TRAFFIC, "spec.targetRefs", [{"kind": "Gateway", "name": "edge"}]),
    ]
    assert [rule for rule, _ in told(edited(good("envoy-gateway"), *at_gateway), XFCC)] == ["one-time-route-retried"]
    own = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": "own", "namespace": "edge"},
        "spec": {"targetRefs": [{"kind": "HTTPRoute", "name": "wallet"}]},
    }
    edits = [*at_gateway, ("BackendTrafficPolicy/own", "", own)]
    assert told(edited(good("envoy-gateway"), *edits), XFCC) == []


@pytest.mark.parametrize(
    "edit",
    [
        (ROUTE, "spec.hostnames", ["*.other"]),
        (ROUTE, "spec.rules.0.matches.0.method", "GET"),
        (TRAFFIC, "spec.retry.numRetries", 0),
    ],
    ids=["host", "method", "none"],
)
def test_what_no_one_time_request_comes_by_may_be_retried(edit: Edit) -> None:
    quiet: list[Edit] = [(ROUTE, "spec.rules.1.retry", GONE), (ROUTE, "spec.rules.1.filters", GONE)]
    retried: list[Edit] = [(ROUTE, "spec.rules.0.retry", {"attempts": 2}), (TRAFFIC, "spec.retry", {"numRetries": 2})]
    if edit[0] == TRAFFIC:
        retried = retried[1:]
    found = told(edited(good("envoy-gateway"), *quiet, *retried, edit), XFCC)
    assert [place for _, place in found if "rules[0]" in place] == []
    assert found == [] or edit[1].endswith("method")


def test_a_host_pattern_meets_the_policys() -> None:
    edits: list[Edit] = [(ROUTE, "spec.hostnames", ["*.api"]), (ROUTE, "spec.rules.0.retry", {"attempts": 1})]
    assert [rule for rule, _ in told(edited(good("envoy-gateway"), *edits), XFCC)] == ["one-time-route-retried"]
    anywhere = replace(XFCC, routes=(replace(DEBIT, hosts=()), XFCC.routes[1]))
    assert [rule for rule, _ in told(edited(good("envoy-gateway"), edits[1]), anywhere)] == ["one-time-route-retried"]


def test_a_routes_own_policy_that_asks_too_leaves_nothing_unchecked() -> None:
    own = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "SecurityPolicy",
        "metadata": {"name": "own", "namespace": "edge"},
        "spec": {
            "targetRef": {"kind": "HTTPRoute", "name": "wallet"},
            "extAuth": good("envoy-gateway")[3]["spec"]["extAuth"],
        },
    }
    assert told(edited(good("envoy-gateway"), ("SecurityPolicy/own", "", own)), XFCC) == []


def _kind(kind: str, name: str, spec: dict[str, Any], group: str = "gateway.networking.k8s.io/v1") -> Edit:
    tree = {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "edge"}, "spec": spec}
    return f"{kind}/{name}", "", tree


LUA = {"lua": [{"type": "Inline", "inline": "x"}]}
OWN = "gateway.envoyproxy.io/v1alpha1"
HEALTH = replace(DEBIT, name="health", path="/healthz", is_single_use=False, is_public=True)


@pytest.mark.parametrize(
    "edits",
    [
        [_kind("EnvoyExtensionPolicy", "x", LUA | {"targetRefs": [{"kind": "Gateway", "name": "inner"}]}, OWN)],
        [
            _kind("EnvoyExtensionPolicy", "x", LUA | {"targetRefs": [{"kind": "Gateway", "name": "edge"}]}, OWN),
            _kind("EnvoyProxy", "x", {"filterOrder": [
                {"name": "envoy.filters.http.lua", "before": "envoy.filters.http.ext_authz"},
            ]}, OWN),
        ],
        [_kind("HTTPRoute", "x", {"parentRefs": [{"name": "inner"}], "rules": [
            {"backendRefs": [{"name": "shop"}]},
        ]})],
        [_kind("HTTPRoute", "x", {"parentRefs": [{"name": "inner"}], "rules": [{
            "matches": [{"path": {"type": "Exact", "value": "/healthz"}}],
            "backendRefs": [{"name": "wallet", "port": 8080}],
        }]})],
        [_kind("GRPCRoute", "x", {"parentRefs": [{"name": "edge"}], "rules": [
            {"backendRefs": [{"name": "wallet", "port": 8080}]},
        ]})],
        [(ROUTE, "spec.rules.0.filters", [{"type": "RequestHeaderModifier", "requestHeaderModifier": {
            "set": [{"name": "x-otter", "value": "a"}], "remove": ["x-ott-role"],
        }}])],
    ],
    ids=["another gateway's filter", "a filter before", "another backend", "a public path", "under the policy",
         "another's header"],
)  # fmt: skip
def test_what_only_looks_like_a_way_past_is_left_alone(edits: list[Edit]) -> None:
    expected = replace(XFCC, routes=(*XFCC.routes, HEALTH))
    assert told(edited(good("envoy-gateway"), *edits), expected) == []


def test_where_an_address_decides_nothing_a_header_may_say_it() -> None:
    edit: Edit = ("ClientTrafficPolicy/edge", "spec.clientIPDetection", {"customHeader": {"name": "x-real-ip"}})
    assert told(edited(good("envoy-gateway"), edit), XFCC) == []
    judging = replace(XFCC, routes=(replace(DEBIT, judges_address=True), XFCC.routes[1]))
    assert [rule for rule, _ in told(edited(good("envoy-gateway"), edit), judging)] == ["caller-address-from-header"]
