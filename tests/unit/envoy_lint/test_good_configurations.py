"""Configurations as real teams have them, and right: nothing is reported, or only what there is to say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.reading import documents_in
from tests.unit.envoy_lint.faults import FILTERS, HTTP_OPTIONS
from tests.unit.envoy_lint.shipped import (
    TYPES,
    Edit,
    Tree,
    action,
    authz,
    cluster,
    copy_of,
    edited,
    entry,
    expecting,
    hcm,
    listener,
    per_route,
    rules_of,
    tls,
    virtual_host,
    wanted,
)

GOOD = Path(__file__).parent / "good"
MESH_SHAPES = Path(__file__).parents[2] / "e2e" / "mesh_shapes"
DEBIT = wanted("/v1/wallets/{wallet}/debit", hosts=("wallet.api",))
HEALTH = wanted("/healthz", name="health", methods=("GET",), is_single_use=False, is_public=True)
POLICY = expecting(DEBIT, HEALTH)
ROUTER = {"name": "router", "typed_config": {"@type": f"{FILTERS}router.v3.Router"}}


def _filter(kind: str, message: str, **config: Any) -> Tree:
    return {"name": f"envoy.filters.http.{kind}", "typed_config": {"@type": f"{FILTERS}{kind}.v3.{message}", **config}}


def _chain(tree: Tree, before: list[Tree], after: list[Tree]) -> None:
    hcm(tree)["http_filters"] = [*before, entry(tree), *after, hcm(tree)["http_filters"][-1]]


def _browsers(tree: Tree) -> None:
    """gRPC-web and CORS in front; compression on the way back."""
    cors = {"allow_origin_string_match": [{"exact": "https://shop.example"}], "allow_methods": "POST"}
    virtual_host(tree)["typed_per_filter_config"] = {
        "envoy.filters.http.cors": {"@type": f"{FILTERS}cors.v3.CorsPolicy", **cors},
    }
    before = [_filter("health_check", "HealthCheck", pass_through_mode=False), _filter("cors", "Cors"),
              _filter("grpc_web", "GrpcWeb")]  # fmt: skip
    _chain(tree, before, [_filter("compressor", "Compressor"), _filter("grpc_stats", "FilterConfig")])


def _limited(tree: Tree) -> None:
    """Two kinds of rate limits, faults to practise, and a circuit for the service."""
    limits = [{"actions": [{"remote_address": {}}, {"request_headers": {"header_name": "x-tenant"}}]}]
    virtual_host(tree)["rate_limits"] = limits
    _chain(
        tree,
        [_filter("local_ratelimit", "LocalRateLimit", stat_prefix="l"), _filter("ratelimit", "RateLimit", domain="d")],
        [_filter("fault", "HTTPFault", abort={"http_status": 503, "percentage": {"numerator": 0}}),
         _filter("bandwidth_limit", "BandwidthLimit"), _filter("admission_control", "AdmissionControl")],
    )  # fmt: skip


def _logged_in(tree: Tree) -> None:
    """Access tokens are verified by Envoy before; what it says is handed on under a name of its own."""
    provider = {"issuer": "https://idp.example", "forward": True, "claim_to_headers": [
        {"header_name": "x-user", "claim_name": "sub"},
    ]}  # fmt: skip
    _chain(
        tree,
        [_filter("jwt_authn", "JwtAuthentication", providers={"idp": provider}),
         _filter("header_to_metadata", "Config", request_rules=[
             {"header": "x-tenant", "on_header_present": {"metadata_namespace": "tenant", "key": "t"}},
         ])],
        [_filter("rbac", "RBAC", rules={"action": "ALLOW", "policies": {}})],
    )  # fmt: skip


def _traced(tree: Tree) -> None:
    hcm(tree)["tracing"] = {
        "provider": {"name": "otel", "typed_config": {"@type": f"{TYPES}envoy.config.trace.v3.OpenTelemetryConfig"}},
        "custom_tags": [
            {"tag": "agent", "request_header": {"name": "user-agent"}},
            {"tag": "client", "value": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:client_id)%"},
            {"tag": "pod", "environment": {"name": "POD_NAME"}},
        ],
    }
    kind = f"{TYPES}envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
    body = {"string_value": "%REQ(:METHOD)% %PATH(NQ)% %RESPONSE_CODE% %REQ(X-REQUEST-ID)%"}
    hcm(tree)["access_log"].append({"name": "otel", "typed_config": {"@type": kind, "body": body}})


def _listeners(tree: Tree) -> None:
    """Beside the gateway: a port that only redirects, one for Prometheus, one for kubelet, one on loopback."""
    kind = hcm(tree)["@type"]

    def beside(name: str, address: str, port: int, route: Tree) -> Tree:
        manager = {"@type": kind, "stat_prefix": name, "http_filters": [ROUTER], "route_config": {
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}],
        }}  # fmt: skip
        socket = {"address": address, "port_value": port}
        return {"name": name, "address": {"socket_address": socket}, "filter_chains": [{"filters": [
            {"name": "hcm", "typed_config": manager},
        ]}]}  # fmt: skip

    everywhere = "0.0.0.0"  # noqa: S104 - as such listeners are bound
    tree["static_resources"]["listeners"][0:0] = [
        beside("plain", everywhere, 8080, {"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}),
        beside("prometheus", everywhere, 9090, {"match": {"path": "/stats/prometheus"}, "route": {"cluster": "admin"}}),
        beside("kubelet", everywhere, 8081, {"match": {"path": "/healthz"}, "route": {"cluster": "service"}}),
        beside("local", "127.0.0.1", 8082, {"match": {"prefix": "/"}, "route": {"cluster": "tools"}}),
    ]
    ends = {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": copy_of(tree["admin"]["address"])}}]}]}
    tree["static_resources"]["clusters"] += [{"name": "admin", "load_assignment": ends}, {"name": "tools"}]


def _behind_a_balancer(tree: Tree) -> None:
    """A balancer that says by the PROXY protocol where callers are, and a certificate of the mesh's own authority."""
    kind = f"{TYPES}envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
    listener(tree)["listener_filters"] = [{"name": "proxy", "typed_config": {"@type": kind}}]
    tls(tree)["common_tls_context"]["validation_context"] = {"custom_validator_config": {"name": "spiffe"}}
    tls(tree)["session_timeout"] = "3600s"


def _versions(tree: Tree) -> None:
    """A canary beside the service, retried only where nothing was sent; a WebSocket of its own; a redirect."""
    del action(tree)["cluster"]
    versions = [{"name": "service", "weight": 95}, {"name": "canary", "weight": 5}]
    action(tree)["weighted_clusters"] = {"clusters": versions}
    action(tree)["retry_policy"] = {"retry_on": "connect-failure,refused-stream", "num_retries": 2}
    tree["static_resources"]["clusters"].append({"name": "canary"})
    upgraded = {"cluster": "service", "upgrade_configs": [{"upgrade_type": "websocket"}]}
    virtual_host(tree)["routes"][0:0] = [
        {"match": {"path": "/live"}, "route": upgraded, "typed_per_filter_config": per_route(
            check_settings={"disable_request_body_buffering": True},
        )},
        {"match": {"path": "/"}, "redirect": {"path_redirect": "/docs"}},
        {"match": {"path": "/robots.txt"}, "direct_response": {"status": 404}},
    ]  # fmt: skip


def _far_server(tree: Tree) -> None:
    """The Check server elsewhere, over mTLS, found by DNS; several hosts of several teams at this gateway."""
    kind = f"{TYPES}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    common = {"validation_context": {
        "trusted_ca": {"filename": "ca.pem"},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "ott.internal"}}],
    }}  # fmt: skip
    cluster(tree)["transport_socket"] = {"name": "tls", "typed_config": {"@type": kind, "common_tls_context": common}}
    end = cluster(tree)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    end["address"] = {"socket_address": {"address": "ott.internal", "port_value": 9001}}
    other = {"name": "shop", "domains": ["shop.api"], "routes": [{"match": {"prefix": "/"}, "route": {
        "cluster": "shop", "retry_policy": {"retry_on": "5xx"},
    }}], "typed_per_filter_config": per_route(disabled=True)}  # fmt: skip
    hcm(tree)["route_config"]["virtual_hosts"].append(other)
    virtual_host(tree)["domains"] = ["wallet.api", "wallet.api:8443"]
    tree["static_resources"]["clusters"].append({"name": "shop"})


def _http3(tree: Tree) -> None:
    """The same gateway over QUIC, without early data, beside it over TCP."""
    kind = f"{TYPES}envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
    second = copy_of(listener(tree)) | {"name": "gateway-h3", "udp_listener_config": {"quic_options": {}}}
    second["address"]["socket_address"]["protocol"] = "UDP"
    context = {key: value for key, value in tls(tree).items() if key != "@type"}
    config = {"@type": kind, "downstream_tls_context": context, "enable_early_data": False}
    second["filter_chains"][0]["transport_socket"] = {"name": "quic", "typed_config": config}
    tree["static_resources"]["listeners"].insert(0, second)


def _grpc_service(tree: Tree) -> None:
    """Streams are not buffered; the service speaks HTTP/2, and connections are let go before they are old."""
    virtual_host(tree)["routes"].insert(0, {"match": {"prefix": "/", "grpc": {}}, "route": {
        "cluster": "service", "timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "60s"},
    }, "typed_per_filter_config": per_route(check_settings={"disable_request_body_buffering": True})})  # fmt: skip
    options = {"explicit_http_config": {"http2_protocol_options": {}}, "common_http_protocol_options": {
        "max_connection_duration": "600s",
    }}  # fmt: skip
    cluster(tree, "service")["typed_extension_protocol_options"] = {HTTP_OPTIONS: options}


TEAMS: dict[str, Edit] = {
    "browsers": _browsers,
    "limited": _limited,
    "logged in": _logged_in,
    "traced": _traced,
    "many listeners": _listeners,
    "behind a balancer": _behind_a_balancer,
    "versions": _versions,
    "a far server": _far_server,
    "http3": _http3,
    "grpc": _grpc_service,
}


@pytest.mark.parametrize("name", TEAMS)
def test_a_good_configuration_has_no_findings(name: str) -> None:
    assert rules_of(edited(TEAMS[name]), POLICY) == set()


def test_all_of_them_together_have_none_either() -> None:
    together = [edit for name, edit in TEAMS.items() if name not in ("browsers", "limited", "logged in")]
    assert rules_of(edited(*together), POLICY) == set()


def _told(text: str, expected: Expectations) -> set[str]:
    return {each.rule.name for each in findings(documents_in(text, "dump"), expected)}


def test_a_meshs_sidecar_has_only_what_istio_leaves_open() -> None:
    """What Istio's API and the chart's EnvoyFilter do not set; the rest of a whole dump is nobody's fault."""
    text = (GOOD / "istio-sidecar.yaml").read_text(encoding="utf-8")
    expected = expecting(DEBIT, HEALTH, certificate_source="xfcc", trusted_hops=1, exact_hops=True)
    assert _told(text, expected) == {"mutation-rules", "filter-enabled-metadata", "check-health"}


USUAL = {
    "mutation-rules", "validate-mutations", "encode-raw-headers", "status-on-error", "host-dot", "host-port",
    "header-underscores", "filter-enabled-metadata", "not-judged", "include-peer-certificate", "body-as-text",
    "requests-per-cycle",
}  # fmt: skip


@pytest.mark.parametrize("name", ["istio-gateway.yaml", "istio-sidecar.yaml", "envoy-gateway.yaml"])
def test_a_listener_as_control_planes_write_it_has_no_error(name: str) -> None:
    """Without patches there are warnings, which the chart's patches are for; nobody passes unchecked."""
    found = yaml.safe_load((MESH_SHAPES / name).read_text(encoding="utf-8"))
    tree = {"static_resources": {"listeners": [found], "clusters": []}}
    documents = documents_in(yaml.safe_dump(tree), name)
    expected = expecting(wanted(name="wallet-debit"), certificate_source="xfcc", exact_hops=True)
    assert {each.rule.name for each in findings(documents, expected)} <= USUAL


def test_without_the_guard_the_same_shapes_are_errors() -> None:
    text = (GOOD / "istio-sidecar.yaml").read_text(encoding="utf-8").replace("ext_authz.v3.ExtAuthz", "cors.v3.Cors")
    assert _told(text, POLICY) == {"no-ext-authz"}
    assert "failure-mode-allow" in rules_of(
        edited(*TEAMS.values(), lambda tree: authz(tree).update(failure_mode_allow=True)), POLICY
    )
