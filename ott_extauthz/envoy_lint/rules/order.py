"""Does nothing change a request after we judged it?"""

from collections.abc import Iterator, Mapping
from typing import Final

from ott_extauthz.envoy_lint.chains import Filter, filters_in, http_options
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.model.facts import is_ours

FILTER_AFTER: Final = Rule(
    name="filter-after",
    severity=Severity.WARNING,
    title="A filter can change the request after it was judged",
    why="it may rewrite the path, choose another route, or add an identity that nobody checked",
    mend="put it before ext_authz, or leave it out",
)
TWO_CHECKS: Final = Rule(
    name="two-checks",
    severity=Severity.WARNING,
    title="The same request is checked twice",
    why="the first filter spends the token and takes it off: the second finds none, and refuses",
    mend="one ext_authz filter that asks ott-extauthz in a chain",
)
ANSWERS_CACHED: Final = Rule(
    name="answers-cached",
    severity=Severity.WARNING,
    title="Answers are cached behind the Check",
    why="the token is off by then, so that the answer to one caller may be given to another",
    mend="no cache filter in a guarded chain",
)
NOT_JUDGED: Final = Rule(
    name="not-judged",
    severity=Severity.NOTE,
    title="A part was not shown",
    why="what stands there may undo everything else",
    mend="lint the running Envoy's /config_dump?include_eds, which has what control planes sent",
)
RULES: Final = (FILTER_AFTER, TWO_CHECKS, ANSWERS_CACHED, NOT_JUDGED)

_HARMLESS: Final = frozenset({
    "adaptive_concurrency", "admission_control", "alternate_protocols_cache", "bandwidth_limit", "buffer", "cache",
    "cache_v2", "cdn_loop", "compressor", "connect_grpc_bridge", "cors", "csrf", "custom_response", "decompressor",
    "dynamic_forward_proxy", "fault", "file_system_buffer", "grpc_field_extraction", "grpc_http1_bridge",
    "grpc_stats", "grpc_web", "gzip", "header_to_metadata", "health_check", "jwt_authn", "json_to_metadata",
    "kill_request", "local_ratelimit", "original_src", "proto_message_extraction", "rate_limit_quota", "ratelimit",
    "rbac", "router", "set_filter_state", "set_metadata", "stateful_session", "tap", "thrift_to_metadata",
    "upstream_codec",
})  # fmt: skip
"""Filters that change neither target nor identity of a request on its way to the router.

Not among them: ``ip_tagging``, which clears the route cache, and ``on_demand``, which finds a route where there was
none; without a route ext_authz asks nobody.
"""

_UNLESS: Final[Mapping[str, tuple[str, ...]]] = {
    "jwt_authn": ("clear_route_cache",),
    "set_filter_state": ("clear_route_cache",),
    "grpc_http1_bridge": ("upgrade_protobuf_to_grpc", "ignore_query_parameters"),
    "json_to_metadata": ("request_rules",),
    "thrift_to_metadata": ("request_rules",),
}
"""Settings with which they do: they clear the route cache, or write the target anew."""

_CACHES: Final = ("cache", "cache_v2")
_WAYS: Final = frozenset({
    "envoy.upstream.dynamic_host", "envoy.upstream.dynamic_port", "envoy.tcp_proxy.cluster",
    "envoy.network.transport_socket.original_dst_address",
})  # fmt: skip
"""Filter state that says where a request goes."""
_MESH: Final = ("istio.", "stats.PluginConfig", "io.istio.http.")


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what stands at the wrong place of a guarded chain."""
    chain, guard = guarded.chain, guarded.guard
    after = [*chain.filters[chain.filters.index(guard) + 1 :], *_upstream(guarded)]
    for each in after:
        if each.is_grpc_check and each.check_cluster == guard.check_cluster:
            yield each.entry.breaks(TWO_CHECKS, f"{each.name} asks {each.check_cluster or 'the same server'} again")
        elif _kind(each.type) in _CACHES:
            yield each.entry.breaks(ANSWERS_CACHED, f"{each.name} stands after ext_authz")
        elif may_change(each):
            yield each.entry.breaks(FILTER_AFTER, f"{each.name} stands after ext_authz")
    for place in chain.unseen_routes:
        yield place.breaks(NOT_JUDGED, f"the routes {place.text or 'of this chain'} are not in what was read")
    for configuration in chain.routes:
        if configuration["vhds"].is_there:
            yield configuration["vhds"].breaks(NOT_JUDGED, "virtual hosts come on demand")
    if chain.hcm["forward_client_cert_matcher"].is_there:
        yield chain.hcm["forward_client_cert_matcher"].breaks(NOT_JUDGED, "a matcher chooses the mode of each request")


def _upstream(guarded: Guarded) -> Iterator[Filter]:
    """The filters that run for each try: the router's, and those of the clusters behind it."""
    envoy = guarded.chain.envoy
    for each in guarded.chain.filters:
        yield from filters_in(envoy, each.config["upstream_http_filters"])
    for name in sorted({name for branch, _ in guarded.checked for name in branch.clusters if name in envoy.clusters}):
        yield from filters_in(envoy, http_options(envoy.clusters[name])["http_filters"])


def _kind(type_name: str) -> str:
    parts = type_name.split(".")
    return parts[parts.index("http") + 1] if "http" in parts[:-1] else ""


def may_change(each: Filter) -> bool:
    """Whether a filter may change target or identity of a request on its way to the router."""
    if each.type.startswith(_MESH) or (not each.type and each.name.startswith(_MESH)):
        return False
    kind = _kind(each.type)
    if kind not in _HARMLESS or any(_is_set(each.config[key]) for key in _UNLESS.get(kind, ())):
        return True
    return any(text in _WAYS or is_ours(text.lower()) for text in _written(each, kind))


def _written(each: Filter, kind: str) -> Iterator[str]:
    """The filter state that it sets, and the headers that it writes."""
    if kind == "set_filter_state":
        yield from (entry["object_key"].text for entry in each.config["on_request_headers"])
    if kind == "jwt_authn":
        for _, provider in each.config["providers"].entries:
            yield provider["forward_payload_header"].text
            yield from (claim["header_name"].text for claim in provider["claim_to_headers"])


def _is_set(node: Node) -> bool:
    return node.truth or bool(node["rules"].value or list(node))
