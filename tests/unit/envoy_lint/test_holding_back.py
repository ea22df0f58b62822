"""What looks like a fault and is none: where a rule has a good reason to hold back, it does."""

import json
from typing import Any

import pytest

from ott_extauthz.envoy_lint.expectations import Expectations
from tests.unit.envoy_lint.faults import (
    HTTP_OPTIONS,
    RETRIES,
    _after,
    _bytes_to,
    _filter,
    _past,
    _quic,
    _second_listener,
    _to_admin,
    _upstream_tls,
)
from tests.unit.envoy_lint.shipped import (
    FILTER,
    PER_ROUTE,
    TYPES,
    Edit,
    Tree,
    action,
    authz,
    cluster,
    edited,
    entry,
    expecting,
    hcm,
    linted,
    listener,
    per_route,
    route,
    rules_of,
    tls,
    virtual_host,
    wanted,
)

PUBLIC = wanted("/healthz", name="health", methods=("GET",), is_single_use=False, is_public=True)
DEBIT = wanted("/v1/wallets/{wallet}/debit", hosts=("wallet.api",))


def _routes(*routes: Tree) -> Edit:
    return lambda tree: virtual_host(tree)["routes"].__setitem__(slice(0, 0), routes)


def _to_service(match: Tree, **action: Any) -> Tree:
    return {"match": match, "route": {"cluster": "service", **action}}


def _off(match: Tree) -> Tree:
    return _to_service(match) | {"typed_per_filter_config": per_route(disabled=True)}


def _unbounded(tree: Tree) -> None:
    del tree["layered_runtime"]
    _shared(tree)


def _shared(tree: Tree) -> None:
    options: Tree = {HTTP_OPTIONS: {"explicit_http_config": {"http2_protocol_options": {}}}}
    cluster(tree)["typed_extension_protocol_options"] = options


def _verified_far(tree: Tree) -> None:
    kind = f"{TYPES}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    validation = {"trusted_ca": {"filename": "ca.pem"}, "match_typed_subject_alt_names": [{"san_type": "DNS"}]}
    context = {"@type": kind, "common_tls_context": {"validation_context": validation}}
    cluster(tree)["transport_socket"] = {"name": "tls", "typed_config": context}
    cluster(tree)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = {
        "socket_address": {"address": "ott.svc", "port_value": 9001}
    }


def _back_on(tree: Tree) -> None:
    virtual_host(tree)["typed_per_filter_config"] = per_route(disabled=True)
    route(tree)["typed_per_filter_config"] = per_route(check_settings={"context_extensions": {"ott.route": "debit"}})


def _redirecting_listener(tree: Tree) -> None:
    _second_listener(to="service")(tree)
    manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"][0]["routes"] = [
        {"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}
    ]


def _health_port(tree: Tree) -> None:
    _past(cluster="service")(tree)
    manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"][0]["routes"][0]["match"] = {"path": "/healthz"}


def _mesh_outbound(tree: Tree) -> None:
    _second_listener(to="another")(tree)
    tree["static_resources"]["listeners"][0]["traffic_direction"] = "OUTBOUND"


def _sidecar(tree: Tree) -> None:
    """As Istio has every sidecar: what no Service names goes on, as HTTP behind the Check and as bytes."""
    action(tree)["cluster"] = "InboundPassthroughCluster"
    _bytes_to("InboundPassthroughCluster")(tree)


def _guarded_bytes(tree: Tree) -> None:
    guard = {"typed_config": {"@type": f"{TYPES}envoy.extensions.filters.network.ext_authz.v3.ExtAuthz"}}
    _bytes_to("service", guard)(tree)


def _set_hcm(**values: Any) -> Edit:
    return lambda tree: hcm(tree).update(values)


HELD: dict[str, tuple[Edit, Expectations]] = {
    "a retry of what surely was not sent": (
        lambda tree: action(tree).update(retry_policy={"retry_on": "connect-failure, refused-stream"}),
        Expectations(),
    ),
    "a retry policy that retries never": (
        lambda tree: action(tree).update(retry_policy=RETRIES | {"num_retries": 0}),
        Expectations(),
    ),
    "a route's own retry policy comes before its virtual host's": (
        lambda tree: (
            virtual_host(tree).update(retry_policy=RETRIES),
            action(tree).update(retry_policy={"retry_on": "connect-failure"}),
        ),
        Expectations(),
    ),
    "a retry where nothing is spent": (
        lambda tree: action(tree).update(retry_policy=RETRIES),
        expecting(wanted(is_single_use=False)),
    ),
    "a retry on a path that no one-time route has": (
        _routes(_to_service({"prefix": "/reports/"}, retry_policy=RETRIES)),
        expecting(DEBIT),
    ),
    "a retry on another host": (
        lambda tree: hcm(tree)["route_config"]["virtual_hosts"].append(
            {"name": "other", "domains": ["other.api"], "routes": [_to_service({"prefix": "/"}, retry_policy=RETRIES)]}
        ),
        expecting(DEBIT),
    ),
    "a retry for a method that the route does not have": (
        _routes(
            _to_service(
                {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
                retry_policy=RETRIES,
            )
        ),
        expecting(DEBIT),
    ),
    "a retry behind a route that takes everything": (
        lambda tree: virtual_host(tree)["routes"].append(_to_service({"prefix": "/v1"}, retry_policy=RETRIES)),
        expecting(DEBIT),
    ),
    "an exact public path without a Check": (_routes(_off({"path": "/healthz"})), expecting(DEBIT, PUBLIC)),
    "another host without a Check": (
        lambda tree: hcm(tree)["route_config"]["virtual_hosts"].append(
            {"name": "other", "domains": ["other.api"], "routes": [_off({"prefix": "/"})]}
        ),
        expecting(DEBIT),
    ),
    "a redirect without a Check": (
        _routes({"match": {"path": "/old"}, "redirect": {"path_redirect": "/new"}}
                | {"typed_per_filter_config": per_route(disabled=True)}),
        Expectations(),
    ),
    "switched off for the host, on again for its route": (_back_on, Expectations()),
    "a route of the policy by name": (
        lambda tree: route(tree).update(
            typed_per_filter_config=per_route(check_settings={"context_extensions": {"ott.route": "debit"}})
        ),
        expecting(DEBIT),
    ),
    "somebody else's words": (
        lambda tree: route(tree).update(
            typed_per_filter_config=per_route(check_settings={"context_extensions": {"team": "payments"}})
        ),
        Expectations(),
    ),
    "bytes to what no Service of a mesh names": (_sidecar, Expectations()),
    "bytes behind a Check of their connection": (_guarded_bytes, Expectations()),
    "bytes to somebody else": (_bytes_to("another"), Expectations()),
    "listeners that a file beside it has": (
        lambda tree: tree.update(dynamic_resources={"lds_config": {"path_config_source": {"path": "lds.yaml"}}}),
        Expectations(),
    ),
    "upgrades through the same filters": (_set_hcm(upgrade_configs=[{"upgrade_type": "websocket"}]), Expectations()),
    "the same server asked otherwise": (
        lambda tree: route(tree).update(typed_per_filter_config=per_route(
            check_settings={"grpc_service": {"envoy_grpc": {"cluster_name": "ott"}, "timeout": "0.1s"}}
        )),
        Expectations(),
    ),
    "somebody else's host asked of somebody else": (
        lambda tree: hcm(tree)["route_config"]["virtual_hosts"].append({
            "name": "other", "domains": ["other.api"], "routes": [_to_service({"prefix": "/"})],
            "typed_per_filter_config": per_route(
                check_settings={"grpc_service": {"envoy_grpc": {"cluster_name": "opa"}, "timeout": "0.1s"}}
            ),
        }),
        expecting(DEBIT),
    ),
    "metadata of its own from a header": (
        lambda tree: hcm(tree)["http_filters"].insert(0, _filter("header_to_metadata")),
        expecting(wanted()),
    ),
    "a filter state, a bridge and metadata after the Check": (
        _after(_filter("set_filter_state"), _filter("grpc_http1_bridge"), _filter("json_to_metadata")),
        Expectations(),
    ),
    "runtime that closes": (
        lambda tree: (
            authz(tree).update(filter_enabled={"default_value": {"numerator": 0}, "runtime_key": "ott.on"}),
            tree["layered_runtime"]["layers"].append({"static_layer": {"ott.deny_at_disable": True}}),
        ),
        Expectations(),
    ),
    "a transport that bears cancelled calls": (_shared, expecting(wanted(), transport="grpcio")),
    "runtime from elsewhere": (
        lambda tree: tree.update(layered_runtime={"layers": [{"rtds_layer": {"name": "rtds"}}]}),
        expecting(wanted(), transport="native"),
    ),
    "callers of HTTP/1, one call at a time": (
        lambda tree: (tree.pop("layered_runtime"), hcm(tree).update(codec_type="HTTP1")),
        expecting(wanted(), transport="native"),
    ),
    "our own header as the upstream's host": (
        lambda tree: action(tree).update(host_rewrite_header="x-ott-audience"),
        Expectations(),
    ),
    "a listener that only redirects": (_redirecting_listener, Expectations()),
    "a mesh's outbound listener": (_mesh_outbound, Expectations()),
    "rbac, rate limits and jwt_authn after the Check": (
        _after(_filter("rbac"), _filter("ratelimit"), _filter("jwt_authn")),
        Expectations(),
    ),
    "APPEND_FORWARD behind a gateway": (
        _set_hcm(forward_client_cert_details="APPEND_FORWARD"),
        expecting(DEBIT, certificate_source="xfcc", trusted_hops=1, exact_hops=True),
    ),
    "APPEND_FORWARD where any further element is refused": (
        _set_hcm(forward_client_cert_details="APPEND_FORWARD"),
        expecting(DEBIT, certificate_source="xfcc", exact_hops=True),
    ),
    "APPEND_FORWARD where nobody reads the header": (_set_hcm(forward_client_cert_details=2), Expectations()),
    "SANITIZE where nobody reads the header": (_set_hcm(forward_client_cert_details="SANITIZE"), Expectations()),
    "no peer certificate where XFCC has it": (
        lambda tree: authz(tree).pop("include_peer_certificate"),
        expecting(DEBIT, certificate_source="xfcc"),
    ),
    "a part of the requests, and the rest denied": (
        lambda tree: authz(tree).update(filter_enabled={"default_value": {"numerator": 1}, "runtime_key": "k"}),
        Expectations(),
    ),
    "slashes that Envoy unescapes": (
        _set_hcm(path_with_escaped_slashes_action="UNESCAPE_AND_FORWARD"),
        Expectations(),
    ),
    "any port stripped": (
        lambda tree: hcm(tree).update(strip_matching_host_port=None, strip_any_host_port=True),
        Expectations(),
    ),
    "an authority that a control plane sends": (
        lambda tree: tls(tree)["common_tls_context"].update(
            validation_context=None, validation_context_sds_secret_config={"name": "ca"}
        ),
        Expectations(),
    ),
    "mutual TLS over HTTP/3": (_quic(enable_early_data=False), Expectations()),
    "a verified server elsewhere": (_verified_far, Expectations()),
    "a server that is verified by the name it is called by": (
        _upstream_tls(
            auto_sni_san_validation=True, common_tls_context={"validation_context": {"trusted_ca": {"filename": "a"}}}
        ),
        Expectations(),
    ),
    "a server whose names a control plane sends": (
        _upstream_tls(common_tls_context={"validation_context_sds_secret_config": {"name": "ott"}}),
        Expectations(),
    ),
    "a server behind a Unix socket": (
        lambda tree: cluster(tree)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"].update(
            address={"pipe": {"path": "/run/ott.sock"}}
        ),
        Expectations(),
    ),
    "an admin port on a Unix socket": (
        lambda tree: tree["admin"].update(address={"pipe": {"path": "/run/envoy.sock"}}),
        Expectations(),
    ),
    "bodies as text where nothing is signed": (
        lambda tree: authz(tree)["with_request_body"].pop("pack_as_bytes"),
        expecting(wanted(needs_body=True)),
    ),
    "no body where no route needs it": (lambda tree: authz(tree).pop("with_request_body"), expecting(DEBIT)),
    "a gRPC route without buffering": (
        lambda tree: route(tree).update(
            match={"prefix": "/", "grpc": {}},
            typed_per_filter_config=per_route(check_settings={"disable_request_body_buffering": True}),
        ),
        Expectations(),
    ),
    "a log filter that looks at a header": (
        lambda tree: hcm(tree)["access_log"][0].update(
            filter={"extension_filter": {"expression": "request.headers['authorization'] != ''"}}
        ),
        Expectations(),
    ),
    "a port of its own for a public path": (_health_port, expecting(DEBIT, PUBLIC)),
    "numbers for Prometheus": (_to_admin({"prefix": "/stats/prometheus"}), Expectations()),
    "numbers for Prometheus under another name": (
        _to_admin({"prefix": "/metrics"}, prefix_rewrite="/stats/prometheus"),
        Expectations(),
    ),
    "readiness, and nothing else": (_to_admin({"path": "/ready"}), Expectations()),
    "internal callers whose wishes are taken off": (
        lambda tree: (
            hcm(tree).update(internal_address_config={"cidr_ranges": [{"address_prefix": "10.0.0.0"}]}),
            hcm(tree)["route_config"].update(request_headers_to_remove=[
                "x-envoy-retry-on", "X-Envoy-Retry-Grpc-On", "x-envoy-hedge-on-per-try-timeout",
            ]),
        ),
        Expectations(),
    ),
    "internal callers, and retries of what cannot have arrived": (
        lambda tree: (
            hcm(tree).update(internal_address_config={"unix_sockets": True}),
            action(tree).update(retry_policy={"retry_on": "connect-failure, refused-stream", "num_retries": 2}),
            route(tree).update(request_headers_to_remove=[
                "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout",
            ]),
        ),
        Expectations(),
    ),
    "more retries of what cannot have arrived": (
        lambda tree: (
            action(tree).update(retry_policy={"retry_on": "connect-failure"}),
            route(tree).update(request_headers_to_add=[{"header": {"key": "x-envoy-max-retries", "value": "3"}}]),
        ),
        Expectations(),
    ),
    "internal callers where nothing is spent": (
        _set_hcm(internal_address_config={"unix_sockets": True}),
        expecting(wanted(is_single_use=False)),
    ),
    "nobody counts as internal": (_set_hcm(internal_address_config={"cidr_ranges": []}), Expectations()),
    "an address from anywhere where none decides": (lambda tree: hcm(tree).pop("use_remote_address"), expecting(DEBIT)),
    "hops where no address decides": (_set_hcm(xff_num_trusted_hops=1), expecting(DEBIT)),
    "a CONNECT that the next proxy is asked about": (
        lambda tree: action(tree).update(upgrade_configs=[{"upgrade_type": "CONNECT"}]),
        Expectations(),
    ),
    "a tunnel that is switched off": (
        _set_hcm(upgrade_configs=[{"upgrade_type": "h2c", "enabled": False}]),
        Expectations(),
    ),
    "a path made of itself, a host of ours": (
        lambda tree: action(tree).update(path_rewrite="/v2%REQ(:path)%", host_rewrite="%REQ(x-ott-audience)%"),
        Expectations(),
    ),
    "filter state of its own": (
        _after(_filter("set_filter_state", on_request_headers=[{"object_key": "ott.certificate"}])),
        Expectations(),
    ),
    "claims in headers of their own": (
        _after(_filter("jwt_authn", providers={"a": {"claim_to_headers": [{"header_name": "x-user"}]}})),
        Expectations(),
    ),
    "a rate limit by client": (
        lambda tree: (
            hcm(tree)["http_filters"].insert(0, _filter("ratelimit")),
            action(tree).update(rate_limits=[{"actions": [{"request_headers": {"header_name": "x-client"}}]}]),
        ),
        Expectations(),
    ),
    "a rate limit by token that never leaves this Envoy": (
        lambda tree: action(tree).update(
            rate_limits=[{"actions": [{"request_headers": {"header_name": "authorization"}}]}]
        ),
        Expectations(),
    ),
    "an error by another number": (
        _set_hcm(local_reply_config={"mappers": [{"status_code": 503}, {"body": {"inline_string": "no"}}]}),
        Expectations(),
    ),
    "a second server of somebody else's": (
        _after({"name": "theirs", "typed_config": {"@type": PER_ROUTE.replace("PerRoute", ""), "http_service": {}}}),
        Expectations(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_a_rule_holds_back_for_good_reason(name: str) -> None:
    edit, expected = HELD[name]
    found = rules_of(edited(edit), expected)
    assert found == ({"filter-after"} if "somebody else's" in name and "server" in name else set())


@pytest.mark.parametrize(
    ("match", "is_suspect"),
    [
        ({"prefix": "/"}, True),
        ({"prefix": "/v1/wallets/w-17/"}, True),
        ({"path": "/v1/wallets/w-17/debit"}, True),
        ({"path": "/v1/wallets/w-17/credit"}, False),
        ({"path_separated_prefix": "/v1/wallets"}, True),
        ({"path_separated_prefix": "/v2"}, False),
        ({"safe_regex": {"regex": "/v2/.*"}}, True),  # in doubt it may
        ({"path_match_policy": {}}, True),
        ({"prefix": "/V1/", "case_sensitive": False}, True),
        ({"prefix": "/V1/"}, False),
        ({"connect_matcher": {}}, False),
    ],
    ids=str,
)
def test_a_route_is_suspect_unless_it_surely_serves_others(match: Tree, *, is_suspect: bool) -> None:
    tree = edited(_routes(_to_service(match, retry_policy=RETRIES)))
    assert rules_of(tree, expecting(DEBIT)) == ({"route-retries"} if is_suspect else set())


@pytest.mark.parametrize(
    ("domain", "is_suspect"),
    [
        ("*", True),
        ("wallet.api", True),
        ("WALLET.api:8443", True),
        ("*.api", True),
        ("wallet.*", True),
        ("*.com", False),
    ],
)
def test_a_virtual_host_is_suspect_unless_it_is_surely_anothers(domain: str, *, is_suspect: bool) -> None:
    tree = edited(lambda tree: action(tree).update(retry_policy=RETRIES))
    virtual_host(tree)["domains"] = [domain]
    assert rules_of(tree, expecting(DEBIT)) == ({"route-retries"} if is_suspect else set())


def test_a_public_path_by_prefix_lets_pass_what_the_policy_would_refuse() -> None:
    tree = edited(_routes(_off({"prefix": "/healthz"})))
    assert rules_of(tree, expecting(DEBIT, PUBLIC)) == {"filter-disabled"}


def _of_envoy_gateway(tree: Tree, *, enabled: tuple[str, ...]) -> None:
    """Switched off for the chain, and on again for the routes of a policy: so Envoy Gateway writes it."""
    entry(tree)["disabled"] = True
    switch = {FILTER: {"@type": f"{TYPES}envoy.config.route.v3.FilterConfig", "config": {}}}
    hcm(tree)["route_config"]["virtual_hosts"] = [
        {
            "name": host,
            "domains": [host],
            "routes": [_to_service({"prefix": "/"}) | ({"typed_per_filter_config": switch} if host in enabled else {})],
        }
        for host in ("wallet.api", "other.api")
    ]


@pytest.mark.parametrize(
    ("enabled", "found"),
    [(("wallet.api",), set()), (("other.api",), {"filter-disabled"}), ((), {"filter-disabled"})],
    ids=["for ours", "for others", "for none"],
)
def test_a_filter_that_is_off_but_for_some_routes_has_to_be_on_for_ours(
    enabled: tuple[str, ...], found: set[str]
) -> None:
    tree = edited(lambda tree: _of_envoy_gateway(tree, enabled=enabled))
    assert rules_of(tree, expecting(DEBIT)) == found
    assert rules_of(tree) == {"filter-disabled"}


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "static_layer" in value:  # its keys are Envoy's own runtime's, and no fields
        return value
    parts = {key: key.split("_") for key in value}
    return {first + "".join(map(str.title, rest)): _camel(value[key]) for key, (first, *rest) in parts.items()}


def test_protobufs_other_spelling_says_the_same() -> None:
    tree = edited(lambda tree: authz(tree).update(failure_mode_allow=True))
    assert rules_of(_camel(tree)) == {"failure-mode-allow"}


def test_what_a_transport_cannot_bear_is_a_note_where_nobody_says_what_serves() -> None:
    tree = edited(_unbounded)
    for expected, severity in ((expecting(transport="native"), "warning"), (Expectations(), "note")):
        told = {each.rule.name: each.rule.severity.value for each in linted(tree, expected)}
        assert told == dict.fromkeys(("check-streams", "requests-per-cycle"), severity)


@pytest.mark.parametrize("kind", ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"])
def test_a_typed_struct_says_the_same(kind: str) -> None:
    def wrap(tree: Tree) -> None:
        config = authz(tree) | {"failure_mode_allow": True}
        type_url = config.pop("@type")
        config["with_request_body"]["max_request_bytes"] = 65536.0
        entry(tree)["typed_config"] = {"@type": f"{TYPES}{kind}", "type_url": type_url, "value": config}

    assert rules_of(edited(wrap)) == {"failure-mode-allow"}


def test_the_cluster_named_tells_our_filter_from_anothers() -> None:
    def add(tree: Tree) -> None:
        theirs = json.loads(json.dumps(entry(tree))) | {"name": "theirs"}
        theirs["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] = "opa"
        theirs["typed_config"]["failure_mode_allow"] = True
        hcm(tree)["http_filters"].insert(0, theirs)

    assert "failure-mode-allow" in rules_of(edited(add))
    assert rules_of(edited(add), cluster="ott") == set()


def test_finding_the_same_twice_is_one_finding() -> None:
    """Two chains with one and the same route configuration."""

    def share(tree: Tree) -> None:
        action(tree)["retry_policy"] = RETRIES
        listener(tree)["filter_chains"].append(json.loads(json.dumps(listener(tree)["filter_chains"][0])))
        shared = hcm(tree).pop("route_config")
        for chain in listener(tree)["filter_chains"]:
            manager = chain["filters"][0]["typed_config"]
            manager.pop("route_config", None)
            manager["rds"] = {"route_config_name": "gateway"}
        tree["static_resources"]["routes"] = [shared]

    found = linted(edited(share))
    assert {each.rule.name for each in found} == {"not-judged"}
    assert len(found) == 2  # two places name what was not shown


def test_a_word_of_the_filters_name_alone_is_no_setting() -> None:
    tree = edited(lambda tree: route(tree).update(typed_per_filter_config={FILTER: {}}))
    assert rules_of(tree) == set()


def _by_matcher(*routes: Tree) -> Edit:
    """Routes that a matching tree chooses, whose order and whose matches say nothing certain."""
    tree = {"matcher_list": {"matchers": [{"on_match": {"action": {"typed_config": each}}} for each in routes]}}
    kind = {"@type": f"{TYPES}envoy.config.route.v3.Route"}
    for each in routes:
        each.update(kind)
    return lambda whole: virtual_host(whole).update(matcher=tree, routes=[])


def test_routes_in_a_matching_tree_may_serve_anything() -> None:
    first, second = _to_service({"prefix": "/"}), _to_service({"prefix": "/v2"}, retry_policy=RETRIES)
    assert rules_of(edited(_by_matcher(first, second)), expecting(DEBIT)) == {"route-retries"}
    assert rules_of(edited(_by_matcher(_off({"path": "/healthz"}))), expecting(DEBIT, PUBLIC)) == {"filter-disabled"}


def test_what_a_wrapper_holds_is_looked_at() -> None:
    wrapper = {"@type": f"{TYPES}envoy.config.route.v3.FilterConfig", "config": {"@type": PER_ROUTE, "disabled": True}}
    tree = edited(lambda tree: route(tree).update(typed_per_filter_config={FILTER: wrapper}))
    assert rules_of(tree) == {"filter-disabled"}


def test_a_chain_with_a_filter_that_is_not_shown_is_not_called_a_bypass() -> None:
    def unseen(tree: Tree) -> None:
        _second_listener(to="service")(tree)
        manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["http_filters"].insert(0, {"name": "guard", "config_discovery": {"config_source": {"ads": {}}}})

    assert rules_of(edited(unseen)) == {"not-judged"}


def test_a_meshs_own_listener_for_what_leaves_is_not_called_exposed() -> None:
    def mesh(tree: Tree) -> None:
        listener(tree).update(traffic_direction="OUTBOUND")
        listener(tree)["address"]["socket_address"]["address"] = "0.0.0.0"  # noqa: S104 - as Istio binds it

    assert rules_of(edited(mesh, base="attach.yaml")) == set()


def test_a_client_cert_header_from_this_host_is_the_proxys_beside_us() -> None:
    def beside(tree: Tree) -> None:
        del tls(tree)["require_client_certificate"]
        listener(tree)["address"]["socket_address"]["address"] = "127.0.0.1"

    expected = expecting(DEBIT, certificate_source="rfc9440")
    assert rules_of(edited(beside), expected) == {"client-certificate-not-required"}
