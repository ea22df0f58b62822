"""What the chart makes for Istio and Envoy Gateway: valid by closed schemas, closed by default, never a loop."""

import copy
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from helm_python import HelmError

from ott_extauthz.envoy_lint.cancelled_calls import MOST_STREAMS, PER_CYCLE
from ott_extauthz.model.reason import Reason
from ott_extauthz.sections.server import ClientCertificate
from tests.architecture.documents import blocks
from tests.chart.kinds import misfits
from tests.chart.notes import notes, snippets
from tests.chart.rendering import CHART, objects, render, value_sets

PROJECTS: Final = ("istio.io", "gateway.envoyproxy.io", "gateway.networking.k8s.io")
SETS: Final = {
    "istio-values": "istio", "istio-gateway-values": "istio", "envoy-gateway-values": "envoyGateway",
    "envoy-gateway-tls-values": "envoyGateway",
}  # fmt: skip
PROVIDER: Final = "auth-pay-ott-extauthz"
ENVOY: Final = CHART.parents[1] / "envoy" / "envoy.yaml"
EDGE: Final = {"name": "edge", "namespace": "edge", "kind": "gateway", "selector": {"istio": "ingressgateway"}}
WALLET: Final = {"name": "wallet", "namespace": "payments", "kind": "sidecar", "selector": {"app": "wallet"}}
GATEWAY: Final = "spiffe://cluster.local/ns/istio-system/sa/gateway"
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HARDENING: Final = {
    "stat_prefix", "status_on_error", "encode_raw_headers", "include_peer_certificate", "include_tls_session",
    "validate_mutations", "decoder_header_mutation_rules", "enable_dynamic_metadata_ingestion", "with_request_body",
}  # fmt: skip


def shipped(name: str) -> dict[str, Any]:
    return value_sets()[name]


def istio(*targets: dict[str, Any], **settings: object) -> dict[str, Any]:
    return {"istio": {"enabled": True, "renderMode": "alwaysRender", "targets": list(targets), **settings}}


def envoy_gateway(**settings: object) -> dict[str, Any]:
    values = copy.deepcopy(shipped("envoy-gateway-values"))
    values["envoyGateway"] |= settings
    return values


def plain_envoy_gateway(**settings: object) -> dict[str, Any]:
    """The same without the patch; what the server believes is left to NOTES."""
    return envoy_gateway(**{"patch": {"enabled": False}, **settings}) | {"config": {}}


def of_kind(values: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [made for made in objects(values) if made["kind"] == kind]


def policies(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {made["metadata"]["name"]: made["spec"] for made in of_kind(values, "AuthorizationPolicy")}


def shipped_filter() -> dict[str, Any]:
    """The ext_authz filter of ``envoy/envoy.yaml``."""
    listener = yaml.safe_load(ENVOY.read_text(encoding="utf-8"))["static_resources"]["listeners"][0]
    hcm = listener["filter_chains"][0]["filters"][0]["typed_config"]
    settings: dict[str, Any] = hcm["http_filters"][0]["typed_config"]
    return settings


@pytest.mark.parametrize("name", SETS)
def test_every_object_is_one_that_its_own_project_takes(name: str) -> None:
    assert _assert_valid(shipped(name)) >= 5


def _assert_valid(values: dict[str, Any]) -> int:
    """Hold everything of these projects to its kind; returns how many there were."""
    made = [one for one in objects(values) if one["apiVersion"].partition("/")[0].endswith(PROJECTS)]
    assert [said for one in made for said in misfits(one)] == []
    return len(made)


@pytest.mark.parametrize("section", ["istio", "envoyGateway"])
def test_nothing_is_made_where_nothing_was_asked_for(section: str) -> None:
    folder = {"istio": "templates/istio/", "envoyGateway": "templates/envoy-gateway/"}[section]
    for values in ({}, {section: {"enabled": False, "renderMode": "failIfMissing"}}):
        assert all(not text.strip() for path, text in render(values).items() if path.startswith(folder))


@pytest.mark.parametrize("name", SETS)
def test_without_the_kinds_in_the_cluster_they_are_left_out_or_an_error(name: str) -> None:
    values, section = shipped(name), SETS[name]
    values[section]["renderMode"] = "skipIfMissing"
    assert _assert_valid(values) == 0
    values[section]["renderMode"] = "failIfMissing"
    with pytest.raises(HelmError, match="the cluster does not have"):
        objects(values)


# --- fail closed, and never a loop


OWN = {"app.kubernetes.io/name": "ott-extauthz", "app.kubernetes.io/instance": "pay"}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"namespace": "istio-system", "selector": None}, "root namespace guards every workload"),
        ({"namespace": "auth", "selector": None}, "guards the Check server too"),
        ({"namespace": "auth", "selector": OWN}, "matches the Check server itself"),
        ({"namespace": "istio-system", "selector": OWN}, "matches the Check server itself"),
        ({"namespace": "auth", "selector": {"app.kubernetes.io/component": "check"}}, "matches the Check server"),
        ({"kind": "waypoint"}, "found by targetRefs"),
        ({"targetRefs": [{"group": "", "kind": "Service", "name": "a"}]}, "either selector or targetRefs"),
        ({"behindGateway": True}, "gatewayIdentities"),
        ({"kind": "gateway", "behindGateway": True}, "behindGateway is for sidecars"),
    ],
)
def test_a_target_that_would_loop_or_lie_is_an_error(target: dict[str, Any], why: str) -> None:
    changed = {key: value for key, value in {**WALLET, **target}.items() if value is not None}
    with pytest.raises(HelmError, match=why):
        objects(istio(changed))


def test_a_policy_for_a_whole_foreign_namespace_or_for_a_neighbour_is_none() -> None:
    wide = {key: value for key, value in WALLET.items() if key != "selector"}
    assert "selector" not in policies(istio(wide))["pay-ott-extauthz-wallet"]
    neighbour = WALLET | {"namespace": "auth", "selector": {**OWN, "app.kubernetes.io/name": "wallet"}}
    assert policies(istio(neighbour))["pay-ott-extauthz-wallet"]["action"] == "CUSTOM"


def test_two_targets_of_one_name_are_an_error() -> None:
    with pytest.raises(HelmError, match="stands twice"):
        objects(istio(WALLET, WALLET | {"selector": {"app": "other"}}))


def test_a_waypoint_gets_its_policy_and_no_patch() -> None:
    refs = [{"group": "", "kind": "Service", "name": "wallet"}]
    waypoint = {"name": "wallet", "namespace": "payments", "kind": "waypoint", "targetRefs": refs}
    assert policies(istio(waypoint))["pay-ott-extauthz-wallet"]["targetRefs"] == refs
    with pytest.raises(HelmError, match="for gateways and sidecars"):
        objects(istio(waypoint, patch={"enabled": True}))


def test_the_allow_policy_is_the_custom_ones_twin() -> None:
    """Under a mesh that denies by default the Check's OK alone lets nobody in."""
    made = policies(shipped("istio-values"))
    custom, allow = made["pay-ott-extauthz-wallet"], made["pay-ott-extauthz-wallet-allow"]
    assert (custom["action"], custom["provider"]["name"], allow["action"]) == ("CUSTOM", PROVIDER, "ALLOW")
    assert custom["rules"] == allow["rules"] != [{}]
    assert custom["selector"] == allow["selector"]
    assert "pay-ott-extauthz-ledger-allow" not in made


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [{"source": {"principals": ["cluster.local/ns/a/sa/b"]}}]},
        {"from": [{"source": {"namespaces": ["a"]}}]},
        {"when": [{"key": "source.principal", "values": ["a"]}]},
        {"when": [{"key": "request.auth.claims[iss]", "values": ["a"]}]},
        {"to": [{"operation": {"path": ["/typo"]}}]},
    ],
)
def test_a_rule_that_istio_refuses_of_a_custom_policy_is_refused_here(rule: dict[str, Any]) -> None:
    with pytest.raises(HelmError):
        objects(istio(WALLET | {"rules": [rule]}))


@pytest.mark.parametrize(
    "values",
    [
        {"istio": {"enable": True}},
        {"istio": {"provider": "Not_A_Name"}},
        {"istio": {"failOpen": True}},
        {"envoyGateway": {"failOpen": True}},
        {"envoyGateway": {"targets": [{"name": "a", "namespace": "b", "targetRefs": []}]}},
        {"envoyGateway": {"statusOnError": 200}},
        {"envoy": {"timeoutMilliseconds": "250ms"}},
        {"envoy": {"mutableHeaders": ".*"}},
        {"envoy": {"failureModeAllow": True}},
    ],
)
def test_an_unknown_or_unsafe_value_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(HelmError):
        render(values)


def test_only_the_named_proxies_may_ask_for_checks() -> None:
    made = policies(shipped("istio-values"))["pay-ott-extauthz-callers"]
    assert made["selector"]["matchLabels"]["app.kubernetes.io/component"] == "check"
    assert made["action"] == "ALLOW"
    checks, metrics = made["rules"]
    assert checks["from"][0]["source"]["principals"] == [
        "cluster.local/ns/payments/sa/wallet",
        "cluster.local/ns/payments/sa/ledger",
    ]
    assert checks["to"][0]["operation"]["ports"] == ["9001"]
    assert metrics["to"][0]["operation"]["ports"] == ["9002"]


def test_mutual_tls_is_strict_for_the_server_and_where_a_target_asks_for_it() -> None:
    made = {one["metadata"]["name"]: one["spec"] for one in of_kind(shipped("istio-values"), "PeerAuthentication")}
    assert set(made) == {"pay-ott-extauthz", "pay-ott-extauthz-wallet", "pay-ott-extauthz-ledger"}
    assert all(spec["mtls"] == {"mode": "STRICT"} for spec in made.values())
    assert made["pay-ott-extauthz"]["portLevelMtls"] == {"9002": {"mode": "PERMISSIVE"}}
    assert "portLevelMtls" not in of_kind(istio(WALLET), "PeerAuthentication")[0]["spec"]


# --- the patches say what our own envoy.yaml says


def merged_fields(values: dict[str, Any]) -> dict[str, Any]:
    [patch, *_] = of_kind(values, "EnvoyFilter")[0]["spec"]["configPatches"]
    fields: dict[str, Any] = patch["patch"]["value"]["typed_config"]
    return fields


def added_fields(values: dict[str, Any]) -> dict[str, Any]:
    operations = [one["operation"] for one in of_kind(values, "EnvoyPatchPolicy")[0]["spec"]["jsonPatches"]]
    return {one["path"].removeprefix("/"): one["value"] for one in operations if "http_filters" in one["jsonPath"]}


def test_both_patches_and_the_snippet_say_what_the_shipped_configuration_says() -> None:
    shipped_fields = shipped_filter()
    expected = {name: shipped_fields[name] for name in HARDENING}
    bodies = {"with_request_body"}  # Istio's provider says what is sent of them
    merged = merged_fields(shipped("istio-gateway-values"))
    assert merged == {name: expected[name] for name in HARDENING - bodies} | {"@type": merged["@type"]}
    assert added_fields(shipped("envoy-gateway-values")) == expected
    assert snippets({})["http-filter"][0]["typed_config"] == shipped_fields


def test_a_dead_server_is_left_alone_under_istio_as_before_a_plain_envoy() -> None:
    """Istio has five of the names, and switches the rest off by itself."""
    cluster = yaml.safe_load(ENVOY.read_text(encoding="utf-8"))["static_resources"]["clusters"][0]
    ours = cluster["outlier_detection"]
    [rule] = of_kind(istio(WALLET), "DestinationRule")
    assert rule["spec"]["trafficPolicy"]["outlierDetection"] == {
        "splitExternalLocalOriginErrors": ours["split_external_local_origin_errors"],
        "consecutiveLocalOriginFailures": ours["consecutive_local_origin_failure"],
        "consecutive5xxErrors": ours["enforcing_consecutive_5xx"],
        "consecutiveGatewayErrors": ours["enforcing_consecutive_gateway_failure"],
        "baseEjectionTime": ours["base_ejection_time"],
        "interval": ours["interval"],
        "maxEjectionPercent": ours["max_ejection_percent"],
    }


@pytest.mark.parametrize("own_zone", [False, True], ids=["all-servers", "own-zone-first"])
def test_a_zones_traffic_goes_to_its_own_servers_only_where_that_is_said(*, own_zone: bool) -> None:
    """``outlierDetection`` alone switches Istio's preference for the caller's zone on, however few servers that has."""
    [rule] = of_kind(istio(WALLET, **({"preferOwnZone": True} if own_zone else {})), "DestinationRule")
    balancing = rule["spec"]["trafficPolicy"]["loadBalancer"]
    assert balancing == {"simple": "LEAST_REQUEST", "localityLbSetting": {"enabled": own_zone}}


def test_two_releases_of_a_mesh_do_not_answer_for_each_other() -> None:
    """A provider's name is the mesh's: under one, the policies of one release would be judged by the other's server."""
    long = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"
    releases = [("pay", "auth"), ("bet", "auth"), ("pay", "games"), (long, "auth"), (long[:-1] + "4", "auth")]
    names = set()
    for name, namespace in releases:
        made = objects(istio(WALLET | {"body": False}), name=name, namespace=namespace)
        [provider] = {one["spec"]["provider"]["name"] for one in made if "provider" in one.get("spec", {})}
        assert len(provider) <= 63
        names.add(provider)
    assert len(names) == len(releases)


def test_istios_patch_does_not_close_what_its_rules_leave_open() -> None:
    """``deny_at_disable`` would refuse every call outside the rules: Istio switches the filter off for these."""
    assert "deny_at_disable" not in merged_fields(shipped("istio-gateway-values"))


def test_without_bodies_no_patch_and_no_policy_asks_for_them() -> None:
    values = {"envoy": {"maxRequestBytes": 0}}
    assert "with_request_body" not in added_fields(shipped("envoy-gateway-values") | values)
    plain = plain_envoy_gateway() | values
    assert all("bodyToExtAuth" not in one["spec"]["extAuth"] for one in of_kind(plain, "SecurityPolicy"))
    assert "includeRequestBodyInCheck" not in _provider(istio(WALLET) | values)


def test_the_body_is_asked_for_by_the_policy_or_by_the_patch() -> None:
    """A route's own ``with_request_body``, which the policy makes, would override the filter's, and send text."""
    plain, patched = plain_envoy_gateway(), envoy_gateway()
    for values, expected in ((plain, {"maxRequestBytes": 65536}), (patched, None)):
        assert all(one["spec"]["extAuth"].get("bodyToExtAuth") == expected for one in of_kind(values, "SecurityPolicy"))


def test_every_listener_of_the_gateways_is_patched() -> None:
    [made] = of_kind(shipped("envoy-gateway-values"), "EnvoyPatchPolicy")
    assert {one["name"] for one in made["spec"]["jsonPatches"]} == {"edge/edge/https", "edge/edge/https-partners"}


def test_the_security_policy_fails_closed_in_time_and_is_let_across_namespaces() -> None:
    values = shipped("envoy-gateway-values")
    for made in of_kind(values, "SecurityPolicy"):
        settings = made["spec"]["extAuth"]
        assert (settings["failOpen"], settings["timeout"], settings["statusOnError"]) == (False, "250ms", 503)
        assert settings["grpc"]["backendRefs"] == [{"name": "pay-ott-extauthz", "namespace": "auth", "port": 9001}]
    [grant] = of_kind(values, "ReferenceGrant")
    assert grant["metadata"]["namespace"] == "auth"
    assert [one["namespace"] for one in grant["spec"]["from"]] == ["edge", "payments"]
    assert grant["spec"]["to"] == [{"group": "", "kind": "Service", "name": "pay-ott-extauthz"}]
    at_home = [{**target, "namespace": "auth"} for target in values["envoyGateway"]["targets"]]
    assert of_kind(envoy_gateway(targets=at_home), "ReferenceGrant") == []


def test_the_gateway_lets_no_client_write_its_own_certificate() -> None:
    [made] = of_kind(shipped("envoy-gateway-values"), "ClientTrafficPolicy")
    spec = made["spec"]
    assert spec["headers"]["xForwardedClientCert"]["mode"] == "SanitizeSet"
    assert spec["headers"]["withUnderscoresAction"] == spec["path"]["escapedSlashesAction"] == "RejectRequest"
    assert spec["path"]["disableMergeSlashes"] is spec["tls"]["clientValidation"]["optional"] is False
    assert spec["tls"]["minVersion"] == "1.2"
    assert [one["sectionName"] for one in spec["targetRefs"]] == ["https", "https-partners"]
    assert of_kind(envoy_gateway(clientTraffic={"enabled": False}), "ClientTrafficPolicy") == []


def test_streams_are_not_buffered_where_a_target_says_so() -> None:
    """Istio buffers by provider, Envoy Gateway by policy; its patch buffers for all, and says so."""
    made = policies(shipped("istio-values"))
    assert made["pay-ott-extauthz-ledger-stream"]["provider"]["name"] == f"{PROVIDER}-no-body"
    mesh = snippets(shipped("istio-values"))["istio-provider"]["meshConfig"]
    bodies = {
        one["name"]: "includeRequestBodyInCheck" in one["envoyExtAuthzGrpc"] for one in mesh["extensionProviders"]
    }
    assert bodies == {PROVIDER: True, f"{PROVIDER}-no-body": False}
    targets = [target | {"body": False} for target in shipped("envoy-gateway-values")["envoyGateway"]["targets"]]
    plain = of_kind(plain_envoy_gateway(targets=targets), "SecurityPolicy")
    assert all("bodyToExtAuth" not in one["spec"]["extAuth"] for one in plain)
    with pytest.raises(HelmError, match="sends bodies for every filter"):
        objects(envoy_gateway(targets=targets))


TLS_SET: Final = "envoy-gateway-tls-values"


def over_tls(*, tls: dict[str, Any] | None = None, **backend: object) -> dict[str, Any]:
    values = shipped(TLS_SET)
    values["envoyGateway"]["backendTls"] = backend
    values["tls"] |= {} if tls is None else tls
    return values


def test_envoy_gateway_knows_whom_it_asks_and_by_which_authority() -> None:
    """Without the policy it would send Checks, and the tokens in them, in the clear to whoever answers."""
    [made] = of_kind(shipped(TLS_SET), "BackendTLSPolicy")
    certificate = next(one for one in of_kind(shipped(TLS_SET), "Certificate"))
    [backend] = of_kind(shipped(TLS_SET), "SecurityPolicy")[0]["spec"]["extAuth"]["grpc"]["backendRefs"]
    validation = made["spec"]["validation"]
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert validation["hostname"] in certificate["spec"]["dnsNames"]
    assert validation["caCertificateRefs"] == [
        {"group": "", "kind": "Secret", "name": certificate["spec"]["secretName"]}
    ]
    assert [one["name"] for one in made["spec"]["targetRefs"]] == [backend["name"]]
    assert made["metadata"]["namespace"] == backend["namespace"], "such a policy is for Services beside it alone"


def test_another_authority_and_an_older_gateway_api() -> None:
    [made] = of_kind(over_tls(version="v1alpha3", ca={"configMap": "{{ .Release.Name }}-ca"}), "BackendTLSPolicy")
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1alpha3"
    assert misfits(made) == []
    assert made["spec"]["validation"]["caCertificateRefs"] == [{"group": "", "kind": "ConfigMap", "name": "pay-ca"}]
    own = {"existingSecret": "server", "certManager": {}}
    [made] = of_kind(over_tls(tls=own), "BackendTLSPolicy")
    assert made["spec"]["validation"]["caCertificateRefs"][0]["name"] == "server"


def test_no_policy_of_tls_where_the_server_speaks_in_the_clear_or_its_owner_writes_one() -> None:
    assert of_kind(shipped("envoy-gateway-values"), "BackendTLSPolicy") == []
    assert of_kind(over_tls(enabled=False), "BackendTLSPolicy") == []
    assert "a BackendTLSPolicy of yours" in notes(over_tls(enabled=False))


def test_the_notes_say_how_envoy_gateway_gets_a_certificate_to_show() -> None:
    made = snippets(shipped(TLS_SET))["envoy-proxy"]
    named = {"name": "edge", "namespace": "edge"}
    made = {**made, "metadata": named}
    made["spec"]["backendTLS"]["clientCertificateRef"] |= named
    assert misfits(made) == []
    for values in (over_tls(tls={"clientAuth": False}), shipped("envoy-gateway-values")):
        assert "backendTLS" not in snippets(values)["envoy-proxy"]["spec"]


def test_one_callers_cancelled_calls_end_no_connection_of_everybodys_checks() -> None:
    """Few Checks on a connection, and few calls taken up in one breath, by every mesh."""
    few = snippets({})["cluster"][0]["typed_extension_protocol_options"][HTTP_OPTIONS]["explicit_http_config"]
    assert few == {"http2_protocol_options": {"max_concurrent_streams": MOST_STREAMS}}
    [rule] = of_kind(shipped("istio-values"), "DestinationRule")
    assert rule["spec"]["trafficPolicy"]["connectionPool"]["http"]["maxConcurrentStreams"] == MOST_STREAMS
    for policy in of_kind(shipped("envoy-gateway-values"), "SecurityPolicy"):
        settings = policy["spec"]["extAuth"]["grpc"]["backendSettings"]
        assert settings == {"http2": {"maxConcurrentStreams": MOST_STREAMS}}
    plain, mesh, proxy = (snippets(values) for values in ({}, istio(WALLET), shipped("envoy-gateway-values")))
    own = yaml.safe_load(ENVOY.read_text(encoding="utf-8"))["layered_runtime"]["layers"][0]["static_layer"]
    assert plain["runtime"]["layered_runtime"]["layers"][0]["static_layer"] == own == {PER_CYCLE: 1}
    assert mesh["istio-provider"]["meshConfig"]["defaultConfig"] == {"runtimeValues": {PER_CYCLE: "1"}}
    made = {**proxy["envoy-proxy"], "metadata": {"name": "edge", "namespace": "edge"}}
    assert misfits(made) == []
    assert made["spec"]["bootstrap"]["jsonPatches"][0]["value"]["static_layer"] == own


def test_the_policys_route_is_named_where_the_target_says_so() -> None:
    named, unnamed = of_kind(shipped("envoy-gateway-values"), "SecurityPolicy")
    by_name = {made["metadata"]["name"]: made["spec"]["extAuth"] for made in (named, unnamed)}
    expected = [{"name": "ott.route", "type": "Value", "value": "wallet-debit"}]
    assert by_name["pay-ott-extauthz-wallet"]["contextExtensions"] == expected
    assert "contextExtensions" not in by_name["pay-ott-extauthz-edge"]


# --- NOTES


def _provider(values: dict[str, Any]) -> dict[str, Any]:
    provider = snippets(values)["istio-provider"]["meshConfig"]["extensionProviders"][0]
    settings: dict[str, Any] = provider["envoyExtAuthzGrpc"]
    return settings


def test_the_provider_fails_closed_and_soon() -> None:
    provider = _provider(shipped("istio-values"))
    assert provider == {
        "service": "pay-ott-extauthz.auth.svc.cluster.local",
        "port": 9001,
        "timeout": "0.25s",
        "failOpen": False,
        "statusOnError": "503",
        "includeRequestBodyInCheck": {"maxRequestBytes": 65536, "allowPartialMessage": False, "packAsBytes": True},
    }


def test_the_mesh_neither_retries_nor_reads_a_path_twice() -> None:
    mesh = snippets(shipped("istio-values"))["istio-provider"]["meshConfig"]
    assert mesh["defaultHttpRetryPolicy"] == {"attempts": 0}
    assert mesh["pathNormalization"] == {"normalization": "DECODE_AND_MERGE_SLASHES"}


def test_the_policies_name_the_provider_that_the_notes_print() -> None:
    values = istio(WALLET, provider="spend-once")
    [provider] = snippets(values)["istio-provider"]["meshConfig"]["extensionProviders"]
    assert policies(values)["pay-ott-extauthz-wallet"]["provider"]["name"] == provider["name"] == "spend-once"


EXACT = {"source": "xfcc", "exact_hops": True}
HOPS = {"source": "xfcc", "trusted_hops": 1, "hop_identities": [GATEWAY], "exact_hops": True}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"source": "peer"}),
        (istio(EDGE), EXACT),
        (istio(EDGE, WALLET), {"source": "xfcc"}),
        (istio(EDGE, patch={"enabled": True}), {"source": "peer"}),
        (istio(WALLET), {"source": "xfcc"}),
        (istio(WALLET | {"behindGateway": True}, gatewayIdentities=[GATEWAY]), HOPS),
        # Behind a gateway the connection's certificate is the gateway's, patched or not.
        (istio(WALLET | {"behindGateway": True}, gatewayIdentities=[GATEWAY], patch={"enabled": True}), HOPS),
        (plain_envoy_gateway(), EXACT),
        (envoy_gateway(), {"source": "peer"}),
    ],
    ids=[
        "envoy",
        "gateway",
        "gateway-and-sidecar",
        "gateway-patched",
        "sidecar",
        "behind",
        "behind-patched",
        "eg",
        "eg-patched",
    ],
)
def test_the_notes_say_which_certificate_counts_and_the_server_takes_it(
    values: dict[str, Any], expected: dict[str, Any]
) -> None:
    said = snippets(values)["client-certificate"]["client_certificate"]
    assert said == expected
    ClientCertificate.model_validate(said)


@pytest.mark.parametrize(
    "values",
    [
        istio(EDGE, WALLET | {"behindGateway": True}, gatewayIdentities=[GATEWAY]),
        istio(EDGE) | plain_envoy_gateway(patch={"enabled": True}),
    ],
    ids=["gateway-and-behind", "istio-and-patched-eg"],
)
def test_two_topologies_that_need_two_rules_are_two_releases(values: dict[str, Any]) -> None:
    with pytest.raises(HelmError, match="install a release for each"):
        notes(values)


@pytest.mark.parametrize(
    ("own", "targets"),
    [
        ({"source": "peer"}, (EDGE,)),
        ({"source": "xfcc", "trusted_hops": 1, "hop_identities": [GATEWAY]}, (EDGE,)),
        ({"source": "xfcc"}, (WALLET | {"behindGateway": True},)),
        ({"trusted_hops": 0}, (WALLET,)),
    ],
)
def test_a_rule_of_ones_own_that_believes_the_wrong_certificate_is_an_error(
    own: dict[str, Any], targets: tuple[dict[str, Any], ...]
) -> None:
    with pytest.raises(HelmError, match="is not what these targets need"):
        notes(istio(*targets, gatewayIdentities=[GATEWAY]) | {"config": {"client_certificate": own}})
    assert notes({"config": {"client_certificate": own}})


def test_beside_envoy_the_notes_name_the_socket_and_on_a_node_its_own_server() -> None:
    beside, on_a_node = snippets({"kind": "Sidecar"}), snippets({"kind": "DaemonSet"})
    assert "cluster" not in beside
    assert "socket-cluster" not in on_a_node
    assert "pay-ott-extauthz.auth.svc" in str(on_a_node["cluster"])
    assert "pay-ott-extauthz-headless.auth.svc" in str(snippets({})["cluster"])
    for values in (istio(WALLET), plain_envoy_gateway()):
        with pytest.raises(HelmError, match="no Service"):
            notes(values | {"kind": "Sidecar"})


def test_the_notes_say_how_a_release_without_pods_gets_into_envoys() -> None:
    told = notes({"kind": "Sidecar"})
    [made] = [one for one in objects({"kind": "Sidecar"}) if "patch.yaml" in one.get("data", {})]
    assert f"kubectl get configmap {made['metadata']['name']} --namespace {made['metadata']['namespace']} " in told
    assert "kubectl patch" not in notes({})


def test_the_notes_say_where_the_issuer_is() -> None:
    values = shipped("issuer-values")
    [service] = [one for one in of_kind(values, "Service") if one["metadata"]["name"].endswith("-issuer")]
    assert f"HTTPS at {service['metadata']['name']}.auth.svc.cluster.local:9003;" in notes(values)
    assert f"by its name,\n{values['issuer']['url']}," in notes(values)
    assert "The issuer." not in notes({})


def test_the_notes_name_what_is_missing_without_the_patches() -> None:
    assert "joins repeated headers" in notes(istio(WALLET))
    assert "joins repeated headers" not in notes(shipped("istio-gateway-values"))
    assert "label auth for injection" in notes(istio(WALLET))
    assert "for injection" not in notes(istio(WALLET, mutualTls=False))
    assert "body_not_binary_safe" in notes(plain_envoy_gateway())
    assert snippets(envoy_gateway())["envoy-gateway"] == {"extensionApis": {"enableEnvoyPatchPolicy": True}}


def test_without_targets_the_notes_show_a_policy_that_the_schema_takes() -> None:
    policy = snippets(istio())["istio-policy"]
    policy["metadata"]["namespace"] = "payments"
    assert misfits(policy | {"metadata": policy["metadata"] | {"labels": {}}}) == []
    spec = policy["spec"]
    assert (spec["action"], spec["provider"]["name"], spec["rules"]) == ("CUSTOM", PROVIDER, [{}])


# --- what the manual shows


MANUAL: Final = [CHART.parents[1] / "docs" / name for name in ("istio.md", "envoy-gateway.md")]


@pytest.mark.parametrize("page", MANUAL, ids=lambda page: page.stem)
def test_the_values_that_the_manual_shows_make_valid_objects(page: Path) -> None:
    [shown] = blocks(page, "values")
    values = yaml.safe_load(shown)
    for section in values.values():
        section["renderMode"] = "alwaysRender"
    assert _assert_valid(values) >= 4


@pytest.mark.parametrize("page", MANUAL, ids=lambda page: page.stem)
def test_every_reason_that_the_manual_explains_is_one(page: Path) -> None:
    first_cells = re.findall(
        r"^\| ([^|]+) \|", page.read_text(encoding="utf-8").split("## When it does not work")[1], re.MULTILINE
    )
    named = {name for cell in first_cells for name in re.findall(r"`([a-z]+_[a-z_]+)`", cell)}
    assert named
    assert named <= {reason.value for reason in Reason}
