"""For each rule the smallest edits of a shipped configuration that break it, and it alone."""

from dataclasses import dataclass, field
from typing import Any

from ott_extauthz.envoy_lint.expectations import Expectations
from tests.unit.envoy_lint.shipped import (
    FILTER,
    PER_ROUTE,
    TYPES,
    Edit,
    Tree,
    action,
    authz,
    cluster,
    copy_of,
    entry,
    expecting,
    hcm,
    listener,
    per_route,
    route,
    tls,
    virtual_host,
    wanted,
)

FILTERS = f"{TYPES}envoy.extensions.filters.http."
WRAPPER = f"{TYPES}envoy.config.route.v3.FilterConfig"
NATIVE = Expectations(transport="native")
TCP = f"{TYPES}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class Fault:
    """An edit, and under what it is looked at."""

    edit: Edit
    base: str = "envoy.yaml"
    expected: Expectations = field(default_factory=Expectations)
    options: dict[str, Any] = field(default_factory=dict)


def _set(part: Any, **values: Any) -> Edit:
    return lambda tree: part(tree).update(values)


def _drop(part: Any, key: str) -> Edit:
    return lambda tree: part(tree).pop(key)


def _authz(**values: Any) -> Fault:
    return Fault(_set(authz, **values))


def _grpc_service(tree: Tree) -> Tree:
    service: Tree = authz(tree)["grpc_service"]
    return service


def _rules(tree: Tree) -> Tree:
    rules: Tree = authz(tree)["decoder_header_mutation_rules"]
    return rules


def _common(tree: Tree) -> Tree:
    common: Tree = tls(tree)["common_tls_context"]
    return common


def _router(tree: Tree) -> Tree:
    config: Tree = hcm(tree)["http_filters"][-1]["typed_config"]
    return config


def _provider(tree: Tree) -> Tree:
    provider: Tree = hcm(tree)["http_filters"][0]["typed_config"]["providers"]["issuer"]
    return provider


def _body(tree: Tree) -> Tree:
    body: Tree = authz(tree)["with_request_body"]
    return body


def _filter(kind: str, name: str = "", **config: Any) -> Tree:
    return {
        "name": name or f"envoy.filters.http.{kind}",
        "typed_config": {"@type": f"{FILTERS}{kind}.v3.Any", **config},
    }


def _before(*filters: Tree) -> Edit:
    return lambda tree: hcm(tree)["http_filters"].__setitem__(slice(0, 0), filters)


def _after(*filters: Tree) -> Edit:
    return lambda tree: hcm(tree)["http_filters"].__setitem__(slice(-1, -1), filters)


def _adding(name: str) -> list[Tree]:
    return [{"header": {"key": name, "value": "admin"}}]


def _no_filter(tree: Tree) -> None:
    hcm(tree)["http_filters"].remove(entry(tree))


def _ends(address: str) -> Tree:
    socket = {"socket_address": {"address": address, "port_value": 8080}}
    return {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket}}]}]}


def _second_listener(*, to: str) -> Edit:
    def edit(tree: Tree) -> None:
        second = copy_of(listener(tree))
        tree["static_resources"]["listeners"].insert(0, second | {"name": "side-door"})
        manager = second["filter_chains"][0]["filters"][0]["typed_config"]
        manager["http_filters"] = manager["http_filters"][-1:]
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = to
        if to != "service":
            tree["static_resources"]["clusters"].append({"name": to, "load_assignment": _ends("10.0.0.7")})

    return edit


def _past(**action: Any) -> Edit:
    """A listener that asks nobody, and routes like this."""

    def edit(tree: Tree) -> None:
        _second_listener(to="service")(tree)
        manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"] = action

    return edit


def _past_to(**made: Any) -> Edit:
    """The same, to a cluster of another name."""

    def edit(tree: Tree) -> None:
        _past(cluster="another")(tree)
        tree["static_resources"]["clusters"].append({"name": "another", **made})

    return edit


def _bytes_to(to: str, *before: Tree) -> Edit:
    def edit(tree: Tree) -> None:
        forward = {"name": "tcp", "typed_config": {"@type": TCP, "stat_prefix": "tcp", "cluster": to}}
        chain = {"filters": [*before, forward]}
        tree["static_resources"]["listeners"].insert(0, listener(tree) | {"name": "raw", "filter_chains": [chain]})

    return edit


def _raw_inside(tree: Tree) -> None:
    """The first that reads HTTP stands behind another listener, which hands on bytes."""
    inner = copy_of(listener(tree)) | {"name": "inner", "internal_listener": {}}
    del inner["address"], inner["filter_chains"][0]["filters"][0]["typed_config"]["merge_slashes"]
    _bytes_to("inside")(tree)
    end = {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "inner"}}}}
    inside = {"name": "inside", "load_assignment": {"endpoints": [{"lb_endpoints": [end]}]}}
    tree["static_resources"]["clusters"].append(inside)
    tree["static_resources"]["listeners"][-1] = inner


def _upgrading(tree: Tree) -> None:
    hcm(tree)["upgrade_configs"] = [{"upgrade_type": "websocket", "filters": [copy_of(hcm(tree)["http_filters"][-1])]}]


def _network_discovered(tree: Tree) -> None:
    unseen = {"name": "manager", "config_discovery": {"config_source": {"ads": {}}}}
    second = listener(tree) | {"name": "side-door", "filter_chains": [{"filters": [unseen]}]}
    tree["static_resources"]["listeners"].insert(0, second)


def _put_back(tree: Tree) -> None:
    """A wrapper without a word for ext_authz itself leaves the virtual host's as it is."""
    virtual_host(tree)["typed_per_filter_config"] = per_route(disabled=True)
    _set(route, typed_per_filter_config={FILTER: {"@type": WRAPPER, "config": {}}})(tree)


def _listed_off(tree: Tree) -> None:
    off = copy_of(route(tree)) | {"typed_per_filter_config": per_route(disabled=True)}
    action = {"typed_config": {"@type": f"{TYPES}envoy.config.route.v3.RouteList", "routes": [off]}}
    virtual_host(tree).update(routes=[], matcher={"on_no_match": {"action": action}})


def _marked_by(name: str) -> Edit:
    def edit(tree: Tree) -> None:
        authz(tree).update(filter_enabled_metadata={"filter": name}, deny_at_disable=None)

    return edit


def _at_runtime(**layer: Any) -> Edit:
    def edit(tree: Tree) -> None:
        authz(tree)["filter_enabled"] = {"default_value": {"numerator": 100}, "runtime_key": "ott.enabled"}
        layers = [{"name": "one", "static_layer": {}}, {"name": "two", "static_layer": layer}]
        tree["layered_runtime"]["layers"] += layers

    return edit


def _streams(most: Any) -> Edit:
    return lambda tree: cluster(tree).update(
        typed_extension_protocol_options={HTTP_OPTIONS: {"explicit_http_config": {"http2_protocol_options": most}}}
    )


def _per_cycle(*layers: Tree) -> Edit:
    return lambda tree: tree.update(layered_runtime={"layers": list(layers)})


def _upstream_tls(**common: Any) -> Edit:
    context = {"@type": f"{TYPES}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", **common}
    return lambda tree: cluster(tree).update(transport_socket={"name": "tls", "typed_config": context})


def _matched(tree: Tree) -> None:
    entry(tree)["typed_config"] = {
        "@type": f"{TYPES}envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        "extension_config": {"name": FILTER, "typed_config": authz(tree)},
        "xds_matcher": {"matcher_tree": {}},
    }


def _weighted_off(tree: Tree) -> None:
    del action(tree)["cluster"]
    one = {"name": "service", "weight": 1}
    off = one | {"typed_per_filter_config": per_route(disabled=True)}
    action(tree)["weighted_clusters"] = {"clusters": [one, off]}


def _wrapped_off(tree: Tree) -> None:
    wrapper = {"@type": f"{TYPES}envoy.config.route.v3.FilterConfig", "disabled": True}
    virtual_host(tree)["typed_per_filter_config"] = {FILTER: wrapper}


def _context(**extensions: str) -> Edit:
    named = {key.replace("__", "."): value for key, value in extensions.items()}
    return _set(route, typed_per_filter_config=per_route(check_settings={"context_extensions": named}))


def _log(**config: Any) -> Edit:
    return _set(hcm, access_log=[{"name": "log", "typed_config": {"@type": f"{TYPES}x.StdoutAccessLog", **config}}])


def _line(text: str) -> Edit:
    return _log(log_format={"text_format_source": {"inline_string": text}})


def _address(part: Any, address: str) -> Edit:
    return lambda tree: part(tree)["socket_address"].update(address=address)


def _admin(tree: Tree) -> Tree:
    address: Tree = tree["admin"]["address"]
    return address


def _end(tree: Tree) -> Tree:
    ends = cluster(tree)["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address: Tree = ends[0]["endpoint"]["address"]
    return address


def _unverified(tree: Tree) -> None:
    context = {
        "@type": f"{TYPES}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {},
    }
    cluster(tree)["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _discovered(tree: Tree) -> None:
    hcm(tree)["http_filters"].insert(
        0,
        {
            "name": "lua",
            "config_discovery": {"config_source": {"ads": {}}, "type_urls": [f"{FILTERS}lua.v3.Lua"]},
        },
    )


def _version(minor: int, patch: int) -> Fault:
    build = {"version": {"major_number": 1, "minor_number": minor, "patch": patch}}
    return Fault(lambda tree: tree["node"].update(user_agent_build_version=build))


def _options(**values: Any) -> Edit:
    return lambda tree: cluster(tree, "service").update(typed_extension_protocol_options={HTTP_OPTIONS: values})


def _upgrade(kind: str, **fields: Any) -> list[Tree]:
    return [{"upgrade_type": kind, **fields}]


def _internal(**fields: Any) -> Edit:
    return _set(hcm, internal_address_config=fields)


def _detected(kind: str, **fields: Any) -> Edit:
    extension = {"@type": f"{TYPES}envoy.extensions.http.original_ip_detection.{kind}.v3.Config", **fields}

    def edit(tree: Tree) -> None:
        hcm(tree).update(original_ip_detection_extensions=[{"name": kind, "typed_config": extension}])
        del hcm(tree)["use_remote_address"]

    return edit


def _quic(**fields: Any) -> Edit:
    """HTTP/3, which has the TLS of the others inside its own."""

    def edit(tree: Tree) -> None:
        kind = f"{TYPES}envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
        config = {"@type": kind, "downstream_tls_context": tls(tree), **fields}
        listener(tree)["filter_chains"][0]["transport_socket"]["typed_config"] = config

    return edit


def _proxied(tree: Tree) -> None:
    config = {"@type": f"{TYPES}envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}
    listener(tree)["listener_filters"] = [{"name": "proxy", "typed_config": config}]


def _by_name(kind: str) -> Edit:
    config = {"@type": f"{TYPES}envoy.extensions.filters.network.{kind}.v3.Any"}
    return _bytes_to("nowhere", {"name": kind, "typed_config": config})


def _to_admin(match: Tree, **action: Any) -> Edit:
    """Envoy's own numbers for Prometheus, by a listener that everybody reaches."""

    def edit(tree: Tree) -> None:
        _past(cluster="admin", **action)(tree)
        [host] = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"][
            "route_config"
        ]["virtual_hosts"]
        host["routes"][0]["match"] = match
        tree["static_resources"]["clusters"].append({"name": "admin", "load_assignment": _admin_end(tree)})

    return edit


def _admin_end(tree: Tree) -> Tree:
    return {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": copy_of(tree["admin"]["address"])}}]}]}


def _admin_bytes(tree: Tree) -> None:
    _bytes_to("admin")(tree)
    tree["static_resources"]["clusters"].append({"name": "admin", "load_assignment": _admin_end(tree)})


def _writes_metadata(tree: Tree) -> None:
    code = 'h:streamInfo():dynamicMetadata():set( "envoy.filters.http.jwt_authn", "ott_payload", {})'
    _before(_filter("lua", default_source_code={"inline_string": code}))(tree)


def _counted_by(header: str) -> Edit:
    def edit(tree: Tree) -> None:
        _before(_filter("ratelimit"))(tree)
        counted = {"request_headers": {"header_name": header, "descriptor_key": "k"}}
        action(tree)["rate_limits"] = [{"actions": [counted]}]

    return edit


DEBIT = expecting(wanted())
XFCC = expecting(wanted(), certificate_source="xfcc")
RETRIES = {"retry_on": "5xx,connect-failure", "num_retries": 2}
MIRRORS = [{"cluster": "service"}]
BODY = expecting(wanted(needs_body=True))
RAW = expecting(wanted(needs_body=True, needs_raw_body=True))
ATTACH = "attach.yaml"
JWT = "jwt-authn.yaml"
BY_ENVOY = expecting(wanted(is_verified_by_envoy=True))

FAULTS: dict[str, list[Fault]] = {
    "no-ext-authz": [
        Fault(_no_filter),
        Fault(lambda tree: None, options={"cluster": "another"}),
        Fault(lambda tree: authz(tree).update(http_service=authz(tree).pop("grpc_service"))),
        Fault(lambda tree: tree["static_resources"].pop("listeners")),
    ],
    "bypass-listener": [
        Fault(_by_name("sni_cluster")),
        Fault(_by_name("sni_dynamic_forward_proxy")),
        Fault(_second_listener(to="service")),
        Fault(_bytes_to("service")),
        Fault(_past(cluster_header="x-cluster")),
        Fault(_past(cluster="elsewhere", request_mirror_policies=MIRRORS)),
        Fault(_past_to(original_dst_lb_config={"use_http_header": True})),
        Fault(_past_to(cluster_type={"typed_config": {
            "@type": f"{TYPES}envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
        }})),
        Fault(_past(weighted_clusters={"clusters": [{"cluster_header": "x-cluster"}]})),
        Fault(_past_to(load_assignment=_ends("127.0.0.1"))),
        Fault(_past_to(cluster_type={"typed_config": {
            "@type": f"{TYPES}envoy.extensions.clusters.aggregate.v3.ClusterConfig", "clusters": ["another", "service"],
        }})),
        Fault(_upgrading),
        Fault(lambda tree: listener(tree).update(
            default_filter_chain={"filters": [{"typed_config": copy_of(hcm(tree)) | {"http_filters": []}}]}
        )),
    ],
    "unguarded-listener": [Fault(_second_listener(to="another"))],
    "filter-after": [
        Fault(_after(_filter("lua"))),
        Fault(_after(_filter("header_mutation"))),
        Fault(_after(_filter("ext_proc"))),
        Fault(_options(http_filters=[_filter("header_mutation"), _filter("upstream_codec")])),
        Fault(_set(_router, upstream_http_filters=[_filter("lua")])),
        Fault(_after(_filter("jwt_authn", clear_route_cache=True))),
        Fault(_after(_filter("set_filter_state", clear_route_cache=True))),
        Fault(_after(_filter("json_to_metadata", request_rules={"rules": [{"on_present": {}}]}))),
        Fault(_after(_filter("grpc_http1_bridge", ignore_query_parameters=True))),
        Fault(_after(_filter("ip_tagging"))),
        Fault(_after(_filter("on_demand"))),
        Fault(_after(_filter("set_filter_state", on_request_headers=[{"object_key": "envoy.upstream.dynamic_host"}]))),
        Fault(_after(_filter("jwt_authn", providers={"a": {"forward_payload_header": "X-Ott-Subject"}}))),
        Fault(_after(_filter("jwt_authn", providers={"a": {"claim_to_headers": [{"header_name": "x-ott-client"}]}}))),
        Fault(_after({"name": "own", "typed_config": {"@type": f"{TYPES}xds.type.v3.TypedStruct", "type_url": "own"}})),
    ],
    "identity-header-set": [
        Fault(_set(route, request_headers_to_add=_adding("x-ott-subject"))),
        Fault(_set(virtual_host, request_headers_to_add=_adding("X-Ott-Client"))),
        Fault(_set(route, request_headers_to_add=_adding("X_OTT_SUBJECT"))),
        Fault(lambda tree: hcm(tree)["route_config"].update(request_headers_to_add=_adding("x-ott"))),
    ],
    "answers-cached": [Fault(_after(_filter("cache"))), Fault(_after(_filter("cache_v2")))],
    "two-checks": [Fault(lambda tree: _after(copy_of(entry(tree)) | {"name": "again"})(tree))],
    "not-judged": [
        Fault(_set(listener, fcds_config={"config_source": {"ads": {}}})),
        Fault(_set(action, inline_cluster_specifier_plugin={"extension": {"name": "lua"}})),
        Fault(_discovered),
        Fault(_network_discovered),
        Fault(lambda tree: tree.update(dynamic_resources={"lds_config": {"ads": {}}})),
        Fault(lambda tree: hcm(tree).update(rds={"route_config_name": "far"}, route_config=None)),
        Fault(lambda tree: tree["static_resources"]["clusters"].remove(cluster(tree))),
        Fault(_set(hcm, forward_client_cert_matcher={})),
        Fault(lambda tree: hcm(tree)["route_config"].update(vhds={})),
        Fault(_set(_rules, allow_expression={"regex": "x-ott(-.*"})),
        Fault(_set(_rules, allow_expression={"regex": ".*)|(?:.*"})),
        Fault(lambda tree: _grpc_service(tree).update(envoy_grpc=None, google_grpc={"target_uri": "ott:9001"})),
    ],
    "failure-mode-allow": [_authz(failure_mode_allow=True), _authz(failure_mode_allow={"value": True})],
    "failure-mode-allow-header": [_authz(failure_mode_allow_header_add=True)],
    "timeout-missing": [Fault(_drop(_grpc_service, "timeout"))],
    "timeout-long": [
        Fault(_set(_grpc_service, timeout="0.251s")),
        Fault(_set(_grpc_service, timeout="600s")),
        Fault(_set(_grpc_service, timeout="0s")),
        Fault(
            _set(
                route,
                typed_per_filter_config=per_route(
                    check_settings={"grpc_service": {"envoy_grpc": {"cluster_name": "ott"}, "timeout": "9s"}}
                ),
            )
        ),
    ],
    "check-retries": [
        Fault(_set(_grpc_service, retry_policy={"num_retries": 1})),
        Fault(lambda tree: _grpc_service(tree)["envoy_grpc"].update(retry_policy={})),
        Fault(lambda tree: cluster(tree)["typed_extension_protocol_options"][HTTP_OPTIONS].update(retry_policy={})),
    ],
    "decision-cache": [
        Fault(_before(_filter("cache"))),
        Fault(_before(_filter("cache_v2"))),
        _authz(decision_cache={"ttl": "5s"}),
        _authz(responseCaching={}),
    ],
    "unknown-field": [_authz(something_new=True)],
    "shadow-mode": [_authz(shadow_mode=True)],
    "verified-payload-missing": [
        Fault(_drop(authz, "metadata_context_namespaces"), base=JWT, expected=BY_ENVOY),
        Fault(lambda tree: hcm(tree)["http_filters"].pop(0), base=JWT, expected=BY_ENVOY),
        Fault(lambda tree: hcm(tree)["http_filters"].insert(1, hcm(tree)["http_filters"].pop(0)), JWT, BY_ENVOY),
        Fault(_drop(_provider, "header_in_metadata"), base=JWT, expected=BY_ENVOY),
        Fault(_drop(_provider, "forward"), base=JWT, expected=BY_ENVOY),
        Fault(_set(_provider, payload_in_metadata="payload"), base=JWT, expected=BY_ENVOY),
    ],
    "verified-payload-forgeable": [
        Fault(_writes_metadata, base=JWT, expected=BY_ENVOY),
        Fault(_before(_filter("header_to_metadata", request_rules=[
            {"header": "x-payload", "on_header_present": {"metadata_namespace": "envoy.filters.http.jwt_authn"}},
        ])), base=JWT, expected=BY_ENVOY),
        Fault(_before(_filter("ext_proc", metadata_options={
            "receiving_namespaces": {"untyped": ["envoy.filters.http.jwt_authn"]},
        })), base=JWT, expected=BY_ENVOY),
    ],
    "filter-optional": [Fault(_set(entry, is_optional=True))],
    "asked-elsewhere": [
        Fault(_set(route, typed_per_filter_config=per_route(check_settings={"grpc_service": service})))
        for service in (
            {"envoy_grpc": {"cluster_name": "yes"}, "timeout": "0.2s"},
            {"google_grpc": {"target_uri": "yes:9001"}, "timeout": "0.2s"},
        )
    ] + [
        Fault(_set(virtual_host, typed_per_filter_config=per_route(check_settings={"http_service": {}}))),
    ],
    "target-from-header": [
        Fault(_set(action, path_rewrite="/v2%REQ(x-path?:path)%")),
        Fault(_set(action, host_rewrite="%REQUEST_HEADER(X-Host)%")),
        Fault(_set(action, host_rewrite="%QUERY_PARAM(host)%.api")),
        Fault(lambda tree: cluster(tree, "service").update(original_dst_lb_config={"use_http_header": True})),
        Fault(_set(virtual_host, typed_per_filter_config={"dfp": {
            "@type": f"{FILTERS}dynamic_forward_proxy.v3.PerRouteConfig", "host_rewrite_header": "x-host",
        }})),
        Fault(_set(action, host_rewrite_header="x-host")),
        Fault(lambda tree: route(tree).update(route={"cluster_header": "x-cluster"})),
        Fault(_set(action, cluster=None, weighted_clusters={"clusters": [{"cluster_header": "x-cluster"}]})),
    ],
    "filter-enabled": [
        Fault(_marked_by("envoy.lb")),
        Fault(_marked_by("envoy.filters.http.rbac")),
        Fault(_at_runtime(ott={"enabled": 0, "deny_at_disable": False})),
        Fault(_at_runtime(**{"ott.enabled": {"numerator": 5}, "ott.deny_at_disable": "false"})),
        Fault(
            lambda tree: authz(tree).update(
                filter_enabled={"default_value": {"numerator": 99, "denominator": "HUNDRED"}}, deny_at_disable=None
            )
        ),
        Fault(
            lambda tree: authz(tree).update(
                filter_enabled={"default_value": {"numerator": 100, "denominator": 1}}, deny_at_disable={}
            )
        ),
    ],
    "filter-switch": [
        Fault(
            lambda tree: authz(tree).update(
                filter_enabled={"default_value": {"numerator": 100}, "runtime_key": "k"}, deny_at_disable=None
            )
        )
    ],
    "filter-enabled-metadata": [_authz(filter_enabled_metadata={"filter": "envoy.filters.http.rbac"})],
    "filter-matcher": [
        Fault(_matched),
        Fault(_set(route, typed_per_filter_config={
            FILTER: {"@type": f"{TYPES}envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute"},
        })),
    ],
    "status-on-error": [Fault(_drop(authz, "status_on_error"))],
    "dynamic-metadata": [_authz(enable_dynamic_metadata_ingestion=False)],
    "encode-raw-headers": [Fault(_drop(authz, "encode_raw_headers")), _authz(encode_raw_headers=False)],
    "include-peer-certificate": [Fault(_drop(authz, "include_peer_certificate"))],
    "allowed-headers": [_authz(allowed_headers={"patterns": [{"exact": "x-ott"}]})],
    "disallowed-headers": [_authz(disallowed_headers={"patterns": [{"exact": "cookie"}]})],
    "validate-mutations": [Fault(_drop(authz, "validate_mutations"))],
    "mutation-rules": [
        Fault(_drop(authz, "decoder_header_mutation_rules")),
        Fault(_drop(_rules, "disallow_all")),
        Fault(_set(_rules, allow_expression={"regex": ".*"})),
        Fault(_set(_rules, allow_expression={"regex": "x-.*|authorization|cookie"})),
    ],
    "mutation-refused": [
        Fault(_set(_rules, allow_expression={"regex": "x-ott-.*|authorization"})),
        Fault(_set(_rules, allow_expression={"regex": "x-ott"})),
        Fault(_set(_rules, disallow_expression={"regex": "x-ott-sub.*"})),
        Fault(lambda tree: None, expected=expecting(wanted(headers=("x-partner-key",)))),
        Fault(lambda tree: None, base=ATTACH, expected=expecting(wanted(headers=("x-partner-token",)))),
        Fault(
            _set(_rules, allow_expression={"regex": "x-ott(-.*)?|authorization"}), base=ATTACH,
            expected=expecting(wanted(headers=("webhook-id", "webhook-timestamp", "webhook-signature"))),
        ),
    ],
    "mutation-dropped": [
        Fault(_set(_rules, disallow_is_error=False, allow_expression={"regex": "x-ott(-[a-z]+)*"})),
        Fault(_set(_rules, allow_expression={"regex": "x-ott"}, disallow_is_error=False)),
    ],
    "clear-route-cache": [_authz(clear_route_cache=True), _authz(clear_route_cache_headers={})],
    "body-missing": [
        Fault(_drop(authz, "with_request_body"), expected=BODY),
        Fault(
            _set(route, typed_per_filter_config=per_route(check_settings={"disable_request_body_buffering": True})),
            expected=BODY,
        ),
    ],
    "body-partial": [
        Fault(_set(_body, allow_partial_message=True)),
        Fault(_set(_body, allow_partial_message=True), expected=BODY),
    ],
    "body-as-text": [Fault(_drop(_body, "pack_as_bytes")), Fault(_drop(_body, "pack_as_bytes"), expected=RAW)],
    "body-too-large": [
        Fault(_set(_body, max_request_bytes=4194304)),
        Fault(_set(_body, max_request_bytes="104857600"), expected=RAW),
    ],
    "body-limit": [
        Fault(_set(_body, max_request_bytes=4096)),
        Fault(
            _set(
                route,
                typed_per_filter_config=per_route(
                    check_settings={"with_request_body": {"max_request_bytes": 64, "pack_as_bytes": True}}
                ),
            ),
            expected=RAW,
        ),
    ],
    "grpc-buffered": [Fault(lambda tree: route(tree)["match"].update(grpc={}))],
    "normalize-path": [Fault(_drop(hcm, "normalize_path"))],
    "merge-slashes": [Fault(_drop(hcm, "merge_slashes")), Fault(_raw_inside)],
    "escaped-slashes": [
        Fault(_drop(hcm, "path_with_escaped_slashes_action")),
        Fault(_set(hcm, path_with_escaped_slashes_action=1)),
    ],
    "host-dot": [Fault(_drop(hcm, "strip_trailing_host_dot"))],
    "host-port": [Fault(_drop(hcm, "strip_matching_host_port"))],
    "header-underscores": [
        Fault(lambda tree: hcm(tree)["common_http_protocol_options"].pop("headers_with_underscores_action"))
    ],
    "use-remote-address": [
        Fault(_drop(hcm, "use_remote_address")),
        Fault(_drop(hcm, "use_remote_address"), expected=expecting(wanted(judges_address=True))),
        Fault(_detected("custom_header", header_name="x-real-ip")),
    ],
    "caller-address-told": [
        Fault(_set(hcm, xff_num_trusted_hops=1)),
        Fault(_set(hcm, xff_num_trusted_hops=1), expected=expecting(wanted(judges_address=True))),
        Fault(_detected("xff", xff_num_trusted_hops=1)),
        Fault(_proxied),
    ],
    "internal-callers": [
        Fault(_internal(cidr_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 8}])),
        Fault(_internal(unix_sockets=True), expected=DEBIT),
        Fault(lambda tree: (
            _internal(unix_sockets=True)(tree), route(tree).update(request_headers_to_remove=["x-envoy-retry-on"]),
        )),
        Fault(lambda tree: (
            _internal(unix_sockets=True)(tree),
            action(tree).update(retry_policy={"retry_on": "retriable-status-codes", "num_retries": 0}),
            route(tree).update(request_headers_to_remove=[
                "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout", "x-envoy-max-retries",
            ]),
        )),
    ],
    "tls-version": [
        Fault(lambda tree: _common(tree)["tls_params"].update(tls_minimum_protocol_version="TLSv1_0")),
        Fault(lambda tree: _common(tree)["tls_params"].update(tls_minimum_protocol_version=2)),
    ],
    "client-certificate-stale": [
        Fault(lambda tree: _common(tree)["validation_context"].update(allow_expired_certificate=True)),
        Fault(_set(tls, session_timeout="604800s")),
    ],
    "early-data": [Fault(_quic())],
    "tunnel": [
        Fault(_set(hcm, upgrade_configs=_upgrade("h2c"))),
        Fault(_set(action, upgrade_configs=_upgrade("CONNECT", connect_config={}))),
        Fault(_set(action, upgrade_configs=_upgrade("H2C", enabled=True))),
        Fault(_set(action, upgrade_configs=_upgrade("CONNECT-UDP", connect_config={"allow_post": True}))),
    ],
    "request-smuggling": [Fault(_set(hcm, http_protocol_options={"allow_chunked_length": True}))],
    "refusal-as-success": [
        _authz(status_on_error={"code": "OK"}),
        _authz(status_on_error={"code": 200}),
        Fault(_set(hcm, local_reply_config={"mappers": [{"status_code": 200}]})),
    ],
    "client-certificate-not-required": [
        Fault(_drop(tls, "require_client_certificate")),
        Fault(lambda tree: listener(tree)["filter_chains"][0].pop("transport_socket")),
    ],
    "client-certificate-unverified": [
        Fault(lambda tree: _common(tree).pop("validation_context")),
        Fault(lambda tree: _common(tree)["validation_context"].pop("trusted_ca")),
        Fault(lambda tree: _common(tree)["validation_context"].update(trust_chain_verification="ACCEPT_UNTRUSTED")),
        Fault(lambda tree: _common(tree)["validation_context"].update(
            trusted_ca={"filename": "/etc/ssl/certs/ca-certificates.crt"}
        )),
        Fault(lambda tree: _common(tree).update(validation_context={"system_root_certs": {}})),
        Fault(
            lambda tree: _common(tree).update(
                combined_validation_context={"default_validation_context": {"trust_chain_verification": 1}}
            )
        ),
    ],
    "xfcc-forged": [
        Fault(_set(hcm, forward_client_cert_details="FORWARD_ONLY")),
        Fault(_set(hcm, forward_client_cert_details=4)),
        Fault(_set(hcm, forward_client_cert_details="APPEND_FORWARD"), expected=XFCC),
    ],
    "xfcc-missing": [
        Fault(_set(hcm, forward_client_cert_details="SANITIZE"), expected=XFCC),
        Fault(_drop(hcm, "forward_client_cert_details"), expected=XFCC),
        Fault(lambda tree: None, expected=expecting(wanted(), certificate_source="xfcc", trusted_hops=1)),
    ],
    "client-cert-header-forged": [
        Fault(
            _drop(tls, "require_client_certificate"), expected=expecting(wanted(), certificate_source="rfc9440")
        ),
    ],
    "route-retries": [
        Fault(_set(action, retry_policy=RETRIES)),
        Fault(_set(virtual_host, retry_policy=RETRIES)),
        Fault(_options(retry_policy=RETRIES)),
        Fault(_set(action, retry_policy=RETRIES), expected=DEBIT),
        Fault(_set(route, request_headers_to_add=_adding("x-envoy-retry-on"))),
        Fault(_set(virtual_host, request_headers_to_add=_adding("X-Envoy-Hedge-On-Per-Try-Timeout"))),
        Fault(lambda tree: (
            action(tree).update(retry_policy={"retry_on": "5xx", "num_retries": 0}),
            route(tree).update(request_headers_to_add=_adding("x-envoy-max-retries")),
        )),
    ],
    "attached-retries": [Fault(_set(action, retry_policy=RETRIES), base=ATTACH)],
    "hedging": [
        Fault(_set(action, hedge_policy={"hedge_on_per_try_timeout": True})),
        Fault(_set(virtual_host, hedge_policy={"initial_requests": 2})),
    ],
    "mirroring": [
        Fault(_set(action, request_mirror_policies=MIRRORS)),
        Fault(_set(virtual_host, request_mirror_policies=MIRRORS)),
        Fault(lambda tree: hcm(tree)["route_config"].update(request_mirror_policies=MIRRORS)),
        Fault(_options(request_mirror_policies=MIRRORS)),
    ],
    "internal-redirect": [
        Fault(_set(action, internal_redirect_policy={})),
        Fault(_set(action, internal_redirect_action="HANDLE_INTERNAL_REDIRECT")),
    ],
    "filter-disabled": [
        Fault(_set(route, typed_per_filter_config=per_route(disabled=True))),
        Fault(_set(virtual_host, typed_per_filter_config=per_route(disabled=True))),
        Fault(lambda tree: hcm(tree)["route_config"].update(typed_per_filter_config=per_route(disabled=True))),
        Fault(_weighted_off),
        Fault(_wrapped_off),
        Fault(_put_back),
        Fault(_listed_off),
        Fault(_set(entry, disabled=True)),
        Fault(_set(route, typed_per_filter_config=per_route(disabled=True)), expected=DEBIT),
    ],
    "unknown-policy-route": [Fault(_context(ott__route="nowhere"), expected=DEBIT)],
    "unknown-extension": [Fault(_context(ott__rout="debit")), Fault(_context(ott__mode="off"))],
    "per-route-name": [
        Fault(_set(route, typed_per_filter_config={"ext_authz": {"@type": PER_ROUTE, "disabled": True}}))
    ],
    "outbound-exposed": [
        Fault(_address(lambda tree: listener(tree)["address"], "0.0.0.0"), base=ATTACH),  # noqa: S104
        Fault(lambda tree: listener(tree).update(additional_addresses=[
            {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 8000}}},
        ]), base=ATTACH),
    ],
    "logged-credential": [
        Fault(_line("%REQ(X-OTT)%")),
        Fault(_before(_filter("tap"))),
        Fault(_line("%START_TIME% %REQ(x-nothing?authorization):20%")),
        Fault(_line("%CEL(request.headers['cookie'])%")),
        Fault(_log(log_format={"json_format": {"a": {"b": "%req(dpop)%"}}})),
        Fault(_log(log_format={"text_format": "-"}, additional_request_headers_to_log=["x-ott"])),
        Fault(_set(hcm, tracing={"custom_tags": [{"tag": "t", "request_header": {"name": "X-Ott"}}]})),
        Fault(_set(hcm, tracing={"custom_tags": [{"tag": "t", "value": "%REQ(Authorization)%"}]})),
        Fault(_counted_by("Authorization")),
        Fault(_set(listener, access_log=[{"typed_config": {"log_format": {"text_format": "%REQ(x-ott)%"}}}])),
    ],
    "logged-query": [
        Fault(_line("%REQ(:PATH)%")),
        Fault(_line("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")),
        Fault(_line("%PATH(WQ)%")),
        Fault(_log()),
    ],
    "check-max-requests": [
        Fault(lambda tree: cluster(tree).pop("circuit_breakers")),
        Fault(lambda tree: cluster(tree)["circuit_breakers"]["thresholds"][0].update(max_requests=1024)),
        Fault(lambda tree: cluster(tree)["circuit_breakers"]["thresholds"][0].update(priority="HIGH")),
    ],
    "check-not-http2": [Fault(lambda tree: cluster(tree).pop("typed_extension_protocol_options"))],
    "check-health": [Fault(lambda tree: cluster(tree).pop("health_checks"))],
    "check-panic": [Fault(lambda tree: cluster(tree).pop("common_lb_config"))],
    "check-plaintext": [
        Fault(_address(_end, "ott.svc")),
        Fault(lambda tree: cluster(tree).pop("load_assignment")),
    ],
    "check-streams": [
        Fault(_streams({}), expected=NATIVE),
        Fault(_streams({"max_concurrent_streams": 21}), expected=NATIVE),
        Fault(_streams({"max_concurrent_streams": {"value": 100}}), expected=NATIVE),
        Fault(lambda tree: cluster(tree).update(
            typed_extension_protocol_options={HTTP_OPTIONS: {"auto_config": {"http2_protocol_options": {}}}},
        ), expected=NATIVE),
        Fault(_streams({"max_concurrent_streams": 100}), base="attach.yaml", expected=NATIVE),
    ],
    "requests-per-cycle": [
        Fault(_drop(lambda tree: tree, "layered_runtime"), expected=NATIVE),
        Fault(_per_cycle({"static_layer": {"http": {"max_requests_per_io_cycle": 0}}}), expected=NATIVE),
        Fault(_per_cycle(
            {"static_layer": {"http.max_requests_per_io_cycle": 1}},
            {"static_layer": {"http.max_requests_per_io_cycle": "50"}},
        ), expected=NATIVE),
    ],
    "check-unverified": [
        Fault(_upstream_tls()),
        Fault(_upstream_tls(common_tls_context={"validation_context": {}})),
        Fault(_upstream_tls(common_tls_context={"validation_context": {"trusted_ca": {"filename": "ca.pem"}}})),
        Fault(_upstream_tls(common_tls_context={"validation_context": {
            "trusted_ca": {"filename": "ca.pem"}, "trust_chain_verification": "ACCEPT_UNTRUSTED",
        }})),
        Fault(_unverified)],
    "admin-exposed": [
        Fault(_address(_admin, "0.0.0.0")), Fault(_address(_admin, "::")),  # noqa: S104
        Fault(_to_admin({"prefix": "/"})),
        Fault(_to_admin({"safe_regex": {"regex": "/(stats|quit).*"}})),
        Fault(_to_admin({"prefix": "/envoy"}, prefix_rewrite="/")),
        Fault(_admin_bytes),
    ],
    "envoy-version": [_version(38, 3), _version(37, 5), _version(36, 9),
                      Fault(lambda tree: None, options={"version": "v1.30.0"})],
}  # fmt: skip
