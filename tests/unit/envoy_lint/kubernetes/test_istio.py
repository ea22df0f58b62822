"""Each rule for Istio finds its fault, small edits of a mesh that is right, and is silent about what is none."""

from dataclasses import replace
from typing import Any

import pytest

from ott_extauthz.envoy_lint.expectations import Expectations
from tests.unit.envoy_lint.kubernetes.manifests import (
    DEBIT,
    GONE,
    MESH,
    PEER,
    UNTOLD,
    XFCC,
    Edit,
    Fault,
    edited,
    faults,
    good,
    named,
    route,
    told,
    told_in_full,
)

GRPC = "extensionProviders.0.envoyExtAuthzGrpc"
BODY = f"{GRPC}.includeRequestBodyInCheck"
POLICY, ALLOW, FILTER = "AuthorizationPolicy/ott", "AuthorizationPolicy/ott-allow", "EnvoyFilter/ott-ext-authz"
TYPED = "spec.configPatches.0.patch.value.typed_config"
SERVICE, RULE, VIRTUAL = "Service/pay-ott-extauthz", "DestinationRule/ott", "VirtualService/wallet"
OWN, NAMESPACE = "PeerAuthentication/ott", "PeerAuthentication/default"


def patch(kind: str, value: Any, operation: str = "MERGE") -> dict[str, Any]:
    return {"applyTo": kind, "match": {}, "patch": {"operation": operation, "value": value}}


def extra(kind: str, value: Any) -> Edit:
    """A second EnvoyFilter, which patches something."""
    spec = {"configPatches": [patch(kind, value)]}
    made = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "spec": spec}
    return "EnvoyFilter/more", "", made | {"metadata": {"name": "more", "namespace": "payments"}}


FAULTS = faults("istio")
EXPECTED: dict[str, Expectations] = {"istio-no-peer-certificate": PEER}


def test_a_mesh_that_is_right_has_no_findings() -> None:
    for expected in (XFCC, PEER, UNTOLD, replace(XFCC, trusted_hops=1)):
        assert told(good("istio"), expected) == []


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_fault_is_found_where_it_stands(fault: Fault) -> None:
    found = told(edited(good("istio"), fault.edit), EXPECTED.get(fault.rule, XFCC))
    places = [where for name, where in found if name == fault.rule]
    assert len(places) == 1, found
    assert places[0].endswith(fault.found)


def test_a_policy_that_selects_our_own_pods_loops() -> None:
    ours = {"matchLabels": {"app.kubernetes.io/name": "ott-extauthz"}}
    edits: list[Edit] = [(POLICY, "metadata.namespace", "auth"), (POLICY, "spec.selector", ours)]
    assert ("istio-custom-loop", POLICY) in told(edited(good("istio"), *edits), XFCC)


@pytest.mark.parametrize(
    "edits",
    [
        [(ALLOW, "", GONE)],
        [(ALLOW, "spec", {"selector": {"matchLabels": {"app": "other"}}})],
        [(ALLOW, "spec", {"targetRefs": [{"kind": "Gateway", "name": "edge"}]})],
        [(one, "spec.rules", [{"to": [{"operation": {"methods": ["POST"]}}]}]) for one in (POLICY, ALLOW)],
    ],
    ids=["none", "another workload", "a gateway", "the same rules"],
)
def test_where_nothing_denies_by_default_no_allow_policy_is_needed(edits: list[Edit]) -> None:
    assert told(edited(good("istio"), *edits), XFCC) == []


def test_a_selector_less_policy_in_the_root_namespace_loops() -> None:
    edits: list[Edit] = [(POLICY, "metadata.namespace", "istio-system"), (POLICY, "spec.selector", GONE)]
    assert "istio-custom-loop" in dict(told(edited(good("istio"), *edits), XFCC))
    # Without our Service among the manifests it loops all the same; narrowed by what is asked it may not.
    assert "istio-custom-loop" in dict(told(edited(good("istio"), *edits, (SERVICE, "", GONE)), XFCC))
    narrowed: Edit = (POLICY, "spec.rules", [{"to": [{"operation": {"hosts": ["wallet.api"]}}]}])
    assert "istio-custom-loop" not in dict(told(edited(good("istio"), *edits, narrowed), XFCC))


@pytest.mark.parametrize("name", ["Ott", "ott_1", "-ott", "o" * 64, ""])
def test_a_providers_name_must_be_a_label(name: str) -> None:
    edits: list[Edit] = [(MESH, "extensionProviders.0.name", name), (POLICY, "spec.provider.name", name)]
    assert [rule for rule, _ in told(edited(good("istio"), *edits), XFCC)].count("istio-provider-name") == 2


def test_a_body_that_nobody_judges_is_a_note() -> None:
    expected = replace(XFCC, routes=(DEBIT,))
    assert [rule for rule, _ in told(good("istio"), expected)] == ["istio-body-not-needed"]


def test_a_gateway_with_one_element_is_not_asked_for_two() -> None:
    gateway = {"matchLabels": {"istio": "ingressgateway"}}
    edits: list[Edit] = [(one, "spec.selector", gateway) for one in (POLICY, ALLOW)]
    edits.append((FILTER, "spec.workloadSelector.labels", gateway["matchLabels"]))
    at_gateway = edited(good("istio"), *edits)
    assert told(at_gateway, XFCC) == []
    assert [rule for rule, _ in told(at_gateway, replace(XFCC, trusted_hops=1))] == ["xfcc-too-many-hops"]


def test_appending_at_the_edge_is_fine_where_further_elements_are_refused() -> None:
    appended = edited(good("istio"), (MESH, "defaultConfig.gatewayTopology.forwardClientCertDetails", "APPEND_FORWARD"))
    assert told(appended, replace(XFCC, exact_hops=True)) == []


def test_the_header_does_not_matter_to_a_server_that_reads_the_certificate() -> None:
    forgeable = edited(good("istio"), (MESH, "defaultConfig.gatewayTopology.forwardClientCertDetails", "FORWARD_ONLY"))
    assert told(forgeable, PEER) == []
    assert [rule for rule, _ in told(forgeable, UNTOLD)] == ["xfcc-forgeable"]


def test_the_annotation_of_a_workload_counts_too() -> None:
    annotations = {"proxy.istio.io/config": "proxyHeaders: {forwardedClientCert: FORWARD_ONLY}"}
    template = {"metadata": {"annotations": annotations}}
    edit = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": {"template": template}}
    found = told(edited(good("istio"), ("Deployment/w", "", edit)), XFCC)
    assert [rule for rule, _ in found] == ["xfcc-forgeable"]
    assert "annotations.proxy.istio.io/config.proxyHeaders" in found[0][1]


@pytest.mark.parametrize("kind", ["IstioOperator", "Istio", "values", "bare"])
def test_the_mesh_is_read_in_each_of_its_forms(kind: str) -> None:
    mesh: dict[str, Any] = {
        "extensionProviders": [{"name": "ott", "envoyExtAuthzGrpc": {"service": "x", "failOpen": True}}]
    }
    forms: dict[str, dict[str, Any]] = {
        "IstioOperator": {
            "kind": "IstioOperator",
            "apiVersion": "install.istio.io/v1alpha1",
            "spec": {"meshConfig": mesh},
        },
        "Istio": {"kind": "Istio", "apiVersion": "sailoperator.io/v1", "spec": {"values": {"meshConfig": mesh}}},
        "values": {"meshConfig": mesh},
        "bare": mesh,
    }
    assert "istio-fail-open" in dict(told([forms[kind]], UNTOLD))


CONNECTIONS_ONLY = {
    "splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 3, "consecutive5xxErrors": 0,
}  # fmt: skip


def test_a_pod_that_cannot_be_reached_may_be_put_aside() -> None:
    assert told(edited(good("istio"), (RULE, "spec.trafficPolicy.outlierDetection", CONNECTIONS_ONLY)), XFCC) == []


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"splitExternalLocalOriginErrors": False}, id="not-split"),
        pytest.param({"consecutive5xxErrors": None}, id="istios-default-of-five"),
        pytest.param({"consecutive5xxErrors": 5}, id="answers"),
        pytest.param({"consecutiveGatewayErrors": 1}, id="gateway-errors"),
    ],
)
def test_a_pod_that_is_put_aside_for_its_answers_is_told(answers: dict[str, Any]) -> None:
    found = told(edited(good("istio"), (RULE, "spec.trafficPolicy.outlierDetection", CONNECTIONS_ONLY | answers)), XFCC)
    assert [rule for rule, _ in found] == ["istio-check-outlier-detection"]


def test_the_workloads_own_mode_counts_before_the_namespaces() -> None:
    own = {
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": "wallet", "namespace": "payments"},
        "spec": {"selector": {"matchLabels": {"app": "wallet"}}, "mtls": {"mode": "STRICT"}},
    }  # fmt: skip
    weak: Edit = (NAMESPACE, "spec.mtls.mode", "PERMISSIVE")
    assert told(edited(good("istio"), weak, ("PeerAuthentication/wallet", "", own)), XFCC) == []


INJECT, EXCLUDED = "sidecar.istio.io/inject", "traffic.sidecar.istio.io/excludeInboundPorts"


@pytest.mark.parametrize(
    ("metadata", "container", "is_found"),
    [
        ({"annotations": {INJECT: "false"}}, "wallet", True),
        ({"labels": {"app": "wallet", INJECT: "false"}}, "wallet", True),
        ({"annotations": {EXCLUDED: "8080"}}, "wallet", True),
        ({"annotations": {INJECT: "true", EXCLUDED: ""}}, "wallet", False),
        ({"annotations": {INJECT: "false"}}, "istio-proxy", False),
        ({"labels": {"app": "ledger"}, "annotations": {INJECT: "false"}}, "wallet", False),
    ],
    ids=["no proxy", "no proxy by label", "a port past it", "all through it", "a gateway", "another workload"],
)
def test_a_protected_workload_without_its_proxy_asks_nobody(
    metadata: dict[str, Any], container: str, *, is_found: bool
) -> None:
    template = {"metadata": {"labels": {"app": "wallet"}} | metadata, "spec": {"containers": [{"name": container}]}}
    workload = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "wallet", "namespace": "payments"},
        "spec": {"template": template},
    }  # fmt: skip
    found = told(edited(good("istio"), ("Deployment/wallet", "", workload)), XFCC)
    assert [rule for rule, _ in found] == (["istio-proxy-left-out"] if is_found else [])


def test_the_mode_of_the_check_port_counts_for_us() -> None:
    edits: list[Edit] = [
        (SERVICE, "spec.ports.0.targetPort", 9001),
        (OWN, "spec.portLevelMtls", {"9001": {"mode": "DISABLE"}}),
    ]
    found = told(edited(good("istio"), *edits), XFCC)
    assert [(rule, where.split()[1]) for rule, where in found] == [
        ("istio-check-mtls-not-strict", "spec.portLevelMtls.9001.mode")
    ]


def test_retries_that_the_mesh_switches_off_are_off() -> None:
    edits: list[Edit] = [(VIRTUAL, "spec.http.0.retries", GONE), (MESH, "defaultHttpRetryPolicy", {"attempts": 0})]
    assert told(edited(good("istio"), *edits), XFCC) == []


@pytest.mark.parametrize(
    "edit",
    [
        (VIRTUAL, "spec.hosts", ["other.api"]),
        (VIRTUAL, "spec.http.0", {"match": [{"uri": {"prefix": "/v2"}}], "retries": {"attempts": 3}, "route": []}),
        (VIRTUAL, "spec.http.0.match.0.method", {"exact": "GET"}),
        (VIRTUAL, "spec.http.0", {"redirect": {"uri": "/"}}),
    ],
    ids=["host", "path", "method", "redirect"],
)
def test_what_no_one_time_request_comes_by_may_be_retried(edit: Edit) -> None:
    more: list[Edit] = [(VIRTUAL, "spec.http.1.retries", {"attempts": 0}), (VIRTUAL, "spec.http.1.mirror", GONE)]
    if edit[1] != "spec.hosts":
        assert told(edited(good("istio"), edit, *more), XFCC) == []
    else:
        assert told(edited(good("istio"), edit), XFCC) == []


def test_a_route_that_takes_some_leaves_the_others_to_the_next() -> None:
    some: Edit = (VIRTUAL, "spec.http.0.match.0.headers", {"x-canary": {"exact": "1"}})
    assert {rule for rule, _ in told(edited(good("istio"), some), XFCC)} == {
        "one-time-route-retried",
        "one-time-route-mirrored",
    }


def test_a_short_host_is_one_of_its_namespace() -> None:
    expected = replace(XFCC, routes=(replace(DEBIT, hosts=("wallet.payments.svc.cluster.local",)), XFCC.routes[1]))
    edits: list[Edit] = [(VIRTUAL, "spec.hosts", ["wallet"]), (VIRTUAL, "spec.http.0.retries.attempts", 1)]
    assert [rule for rule, _ in told(edited(good("istio"), *edits), expected)] == ["one-time-route-retried"]


def test_without_a_policy_rules_about_its_routes_hold_back() -> None:
    edits: list[Edit] = [
        (VIRTUAL, "spec.http.0.retries.attempts", 2),
        (MESH, BODY, GONE),
        (VIRTUAL, "spec.http.0.mirror", {"host": "b"}),
    ]
    assert (
        told(
            edited(good("istio"), *edits, extra("HTTP_ROUTE", {"route": {"retry_policy": {"retry_on": "5xx"}}})), UNTOLD
        )
        == []
    )


def test_other_servers_providers_are_left_alone() -> None:
    other = {"name": "opa", "envoyExtAuthzGrpc": {"service": "opa.auth.svc.cluster.local", "failOpen": True}}
    policy = {
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "opa"},
        "spec": {"action": "CUSTOM", "provider": {"name": "opa"}},
    }  # fmt: skip
    edits: list[Edit] = [(MESH, "extensionProviders.1", other), ("AuthorizationPolicy/opa", "", policy)]
    assert told(edited(good("istio"), *edits), XFCC) == []


def test_a_lone_provider_is_ours_whatever_its_name() -> None:
    lone = {
        "meshConfig": {
            "extensionProviders": [{"name": "authz", "envoyExtAuthzGrpc": {"service": "authz.x", "failOpen": True}}]
        }
    }
    assert "istio-fail-open" in dict(told([lone], UNTOLD))


def _upgrading(*filters: str) -> Edit:
    upgrade = {"upgrade_type": "websocket", "filters": [{"name": name} for name in filters]}
    return extra("NETWORK_FILTER", {"typed_config": {"upgrade_configs": [upgrade]}})


@pytest.mark.parametrize(
    ("edit", "is_found"),
    [
        (_upgrading("envoy.filters.http.router"), True),
        (_upgrading("envoy.filters.http.ext_authz", "envoy.filters.http.router"), False),
        (_upgrading(), False),
        *(
            (
                extra("HTTP_ROUTE", {"typed_per_filter_config": {"envoy.filters.http.ext_authz": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                    "check_settings": settings,
                }}}),
                is_found,
            )
            for settings, is_found in (({"grpc_service": {"envoy_grpc": {"cluster_name": "yes"}}}, True),
                                       ({"context_extensions": {"ott.route": "wallet-debit"}}, False))
        ),
    ],
    ids=["upgrades past us", "upgrades through us", "usual upgrades", "another server", "a name"],
)  # fmt: skip
def test_a_patch_that_leads_past_us_is_found(edit: Edit, *, is_found: bool) -> None:
    found = [rule for rule, _ in told(edited(good("istio"), edit), XFCC)]
    assert found == (["patch-disables-checks"] if is_found else [])


def test_a_patch_of_another_filter_is_left_alone() -> None:
    kind = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
    edit = extra(
        "HTTP_FILTER", {"typed_config": {"@type": kind, "failure_mode_allow": True, "allowed_headers": {"a": 1}}}
    )
    assert told(edited(good("istio"), edit), XFCC) == []


def test_a_filter_that_is_on_for_all_is_on() -> None:
    whole = {"default_value": {"numerator": 1_000_000, "denominator": "MILLION"}}
    assert told(edited(good("istio"), (FILTER, f"{TYPED}.filter_enabled", whole)), XFCC) == []


@pytest.mark.parametrize("normalization", ["BASE", "MERGE_SLASHES", "NONE", None])
def test_a_path_rule_needs_paths_that_are_read_one_way(normalization: str | None) -> None:
    edits: list[Edit] = [
        (POLICY, "spec.rules.0.to", [{"operation": {"paths": ["/v1/*"]}}]),
        (MESH, "pathNormalization", {"normalization": normalization} if normalization else GONE),
    ]
    found = told(edited(good("istio"), *edits), XFCC)
    assert found == [("istio-path-escapes", f"{POLICY} spec.rules[0].to[0].operation.paths")]
    assert told(edited(good("istio"), edits[0]), XFCC) == []


def test_a_path_rule_that_means_everything_narrows_nothing() -> None:
    edits: list[Edit] = [
        (POLICY, "spec.rules.0.to", [{"operation": {"paths": ["/*"]}}]),
        (MESH, "pathNormalization.normalization", "BASE"),
    ]
    assert told(edited(good("istio"), *edits), XFCC) == []


def test_a_list_stands_for_its_items() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": edited(good("istio"), (MESH, f"{GRPC}.failOpen", True))}
    assert [(rule, where.split()[1][:14]) for rule, where in told([listed], XFCC)] == [
        ("istio-fail-open", "items[0].data.")
    ]


def test_many_routes_are_not_all_named() -> None:
    many = replace(XFCC, routes=tuple(route(f"hook-{number}", "/h", body=True) for number in range(100)))
    (found,) = told_in_full(edited(good("istio"), (MESH, BODY, GONE)), many)
    assert found.detail == "provider ott: hook-0, hook-1, hook-2 and 97 more"


LUA = {"name": "lua", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}}
CORS = {"name": "cors", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}


def _inserting(operation: str, reference: str, value: Any = None, context: str = "ANY", **metadata: Any) -> Edit:
    chain = {"filter": {"subFilter": {"name": f"envoy.filters.http.{reference}"}}}
    match = {"context": context} | ({"listener": {"filterChain": chain}} if reference else {})
    inserted = {"applyTo": "HTTP_FILTER", "match": match, "patch": {"operation": operation, "value": value or LUA}}
    _, _, made = extra("HTTP_FILTER", {})
    made["spec"] = {"configPatches": [inserted]} | metadata.pop("spec", {})
    made["metadata"] |= metadata
    return "EnvoyFilter/more", "", made


def _plugin(namespace: str = "payments", **spec: Any) -> Edit:
    metadata = {"name": "plugin", "namespace": namespace}
    tree = {"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": metadata, "spec": spec}
    return "WasmPlugin/plugin", "", tree


@pytest.mark.parametrize(
    "edit",
    [
        _inserting("INSERT_FIRST", "ext_authz"),
        _inserting("INSERT_BEFORE", ""),
        _inserting("INSERT_BEFORE", "ext_authz"),
        _inserting("INSERT_BEFORE", "jwt_authn"),
        _inserting("INSERT_AFTER", "jwt_authn"),
        _inserting("INSERT_BEFORE", "rbac"),
        _inserting("INSERT_AFTER", "ext_authz", CORS),
        _inserting("INSERT_AFTER", "ext_authz", context="SIDECAR_OUTBOUND"),
        _inserting("INSERT_AFTER", "ext_authz", namespace="shop"),
        _inserting("INSERT_AFTER", "ext_authz", spec={"workloadSelector": {"labels": {"app": "shop"}}}),
        _plugin(phase="AUTHN"),
        _plugin(phase="AUTHZ"),
        _plugin(type="NETWORK"),
        _plugin(namespace="shop"),
        _plugin(selector={"matchLabels": {"app": "shop"}}),
    ],
    ids=[
        "first", "at the front", "before the check", "before jwt_authn", "after jwt_authn", "before the marking",
        "harmless", "what leaves", "another namespace", "another workload", "authn", "authz", "bytes",
        "another namespace's plugin", "another workload's plugin",
    ],
)  # fmt: skip
def test_a_filter_that_does_not_change_what_was_judged_is_left_alone(edit: Edit) -> None:
    assert told(edited(good("istio"), edit), XFCC) == []


def test_a_patch_of_another_workload_is_left_alone() -> None:
    kind, path, made = extra("HTTP_FILTER", {"typed_config": {"normalize_path": False}})
    made["spec"]["workloadSelector"] = {"labels": {"app": "shop"}}
    assert told(edited(good("istio"), (kind, path, made)), XFCC) == []
    made["spec"]["workloadSelector"] = {"labels": {"tier": "edge"}}  # which the wallet may have, too
    assert [rule for rule, _ in told(edited(good("istio"), (kind, path, made)), XFCC)] == ["patch-removes-guard"]


def test_a_mode_that_removes_the_header_is_fine_for_who_does_not_read_it() -> None:
    kind = "type.googleapis.com/x.HttpConnectionManager"
    removing = extra("NETWORK_FILTER", {"typed_config": {"@type": kind, "forward_client_cert_details": "SANITIZE"}})
    assert told(edited(good("istio"), removing), PEER) == []


def test_a_log_of_anything_else_is_left_alone() -> None:
    edit: Edit = (MESH, "accessLogFormat", "%START_TIME% %REQ(:METHOD)% %REQ(X-REQUEST-ID)% %REQ(X-OTTER)%")
    assert told(edited(good("istio"), edit), XFCC) == []


def test_at_a_gateway_a_policy_may_mean_hosts() -> None:
    gateway = {"matchLabels": {"istio": "ingressgateway"}}
    rules = [{"to": [{"operation": {"hosts": ["wallet.api"]}}]}]
    edits: list[Edit] = [(one, "spec", {"selector": gateway, "rules": rules}) for one in (ALLOW,)]
    edits += [(POLICY, "spec.selector", gateway), (POLICY, "spec.rules", rules)]
    edits.append((FILTER, "spec.workloadSelector.labels", gateway["matchLabels"]))
    assert told(edited(good("istio"), *edits), XFCC) == []


def test_a_listener_that_asks_too_and_one_for_what_leaves_are_no_side_doors() -> None:
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    guard = {"name": "envoy.filters.http.ext_authz"}
    value = {"filters": [{"typed_config": {"@type": kind, "http_filters": [guard]}}]}
    name, path, made = extra("FILTER_CHAIN", value)
    [one] = made["spec"]["configPatches"]
    one["patch"]["operation"] = "ADD"
    assert told(edited(good("istio"), (name, path, made)), XFCC) == []
    value["filters"][0]["typed_config"]["http_filters"] = []
    one["match"] = {"context": "SIDECAR_OUTBOUND"}
    assert told(edited(good("istio"), (name, path, made)), XFCC) == []


EDGE = {"istio": "ingressgateway"}


@pytest.mark.parametrize(
    ("server", "rules"),
    [
        ({"port": {"protocol": "HTTPS"}, "tls": {"mode": "MUTUAL"}}, []),
        ({"port": {"protocol": "HTTPS"}, "tls": {"mode": "ISTIO_MUTUAL", "minProtocolVersion": "TLSV1_2"}}, []),
        ({"port": {"protocol": "HTTP"}, "tls": {"httpsRedirect": True}}, []),
        ({"port": {"protocol": "TLS"}, "tls": {"mode": "PASSTHROUGH"}}, []),
        ({"port": {"protocol": "HTTPS"}, "tls": {"mode": "SIMPLE"}}, ["istio-gateway-certificate-not-required"]),
        ({"port": {"protocol": "HTTPS"}, "tls": {"mode": "OPTIONAL_MUTUAL"}},
         ["istio-gateway-certificate-not-required"]),
        ({"port": {"protocol": "HTTP"}}, ["istio-gateway-certificate-not-required"]),
        ({"port": {"protocol": "HTTPS"}, "tls": {"mode": "MUTUAL", "minProtocolVersion": "TLSV1_0"}},
         ["istio-gateway-tls-version"]),
    ],
    ids=["mutual", "istio's", "redirect", "passed on", "simple", "optional", "plain", "old"],
)  # fmt: skip
def test_callers_of_a_protected_gateway_show_a_certificate(server: dict[str, Any], rules: list[str]) -> None:
    edits: list[Edit] = [(one, "spec.selector", {"matchLabels": EDGE}) for one in (POLICY, ALLOW)]
    edits.append((FILTER, "spec.workloadSelector.labels", EDGE))
    spec = {"selector": EDGE, "servers": [server]}
    gateway: dict[str, Any] = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "spec": spec}
    edits.append(("Gateway/edge", "", gateway | {"metadata": {"name": "edge", "namespace": "istio-system"}}))
    assert [rule for rule, _ in told(edited(good("istio"), *edits), XFCC)] == rules
    behind = [edits[-1]]  # where the policy stands at the workload, the gateway is somebody else's
    assert told(edited(good("istio"), *behind), XFCC) == []
