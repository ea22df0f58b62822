"""Does every way to the upstream lead past us, and does nothing change a request after we judged it?"""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.envoy_lint.branches import branches_of
from ott_extauthz.envoy_lint.chains import Chain, Filter, chains_of, filters_in, http_options
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.rules.guarded import Guarded

NO_EXT_AUTHZ: Final = Rule(
    name="no-ext-authz",
    severity=Severity.ERROR,
    title="Nobody asks ott-extauthz",
    why="no filter chain has an ext_authz filter over gRPC (or none that asks the cluster named): every request passes",
    mend="put the filter of envoy/envoy.yaml before the router",
)
BYPASS: Final = Rule(
    name="bypass-listener",
    severity=Severity.ERROR,
    title="A second way leads to a guarded upstream",
    why="the cluster is reached here without a Check, and with whatever x-ott-subject the client writes",
    mend="put ext_authz into this chain too, or take the route away",
)
UNGUARDED: Final = Rule(
    name="unguarded-listener",
    severity=Severity.NOTE,
    title="A listener forwards without asking",
    why="nothing behind it is guarded elsewhere, so it may be meant",
    mend="see that what it leads to may be reached by anybody",
)
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
NOT_JUDGED: Final = Rule(
    name="not-judged",
    severity=Severity.NOTE,
    title="A part was not shown",
    why="what stands there may undo everything else",
    mend="lint the running Envoy's /config_dump?include_eds, which has what control planes sent",
)
RULES: Final = (NO_EXT_AUTHZ, BYPASS, UNGUARDED, FILTER_AFTER, TWO_CHECKS, NOT_JUDGED)

_HARMLESS: Final = frozenset({
    "adaptive_concurrency", "admission_control", "alternate_protocols_cache", "bandwidth_limit", "buffer", "cache",
    "cache_v2", "cdn_loop", "compressor", "connect_grpc_bridge", "cors", "csrf", "custom_response", "decompressor",
    "dynamic_forward_proxy", "fault", "file_system_buffer", "grpc_field_extraction", "grpc_http1_bridge",
    "grpc_stats", "grpc_web", "gzip", "header_to_metadata", "health_check", "ip_tagging", "json_to_metadata",
    "kill_request", "local_ratelimit", "on_demand", "original_src", "proto_message_extraction", "rate_limit_quota",
    "ratelimit", "rbac", "router", "set_filter_state", "set_metadata", "stateful_session", "tap",
    "thrift_to_metadata", "upstream_codec",
})  # fmt: skip
"""Filters that change neither target nor identity of a request on its way to the router."""

_MESH: Final = ("istio.", "stats.PluginConfig", "io.istio.http.")
_JWT: Final = "jwt_authn"


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what stands at the wrong place of a guarded chain."""
    chain, guard = guarded.chain, guarded.guard
    after = [*chain.filters[chain.filters.index(guard) + 1 :], *_upstream(guarded)]
    for each in after:
        if each.is_grpc_check and each.check_cluster == guard.check_cluster:
            yield each.entry.breaks(TWO_CHECKS, f"{each.name} asks {each.check_cluster or 'the same server'} again")
        elif not _is_harmless(each):
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


def _is_harmless(each: Filter) -> bool:
    if each.type.startswith(_MESH) or (not each.type and each.name.startswith(_MESH)):
        return True
    if _kind(each.type) == _JWT:
        return not each.config["clear_route_cache"].truth
    return _kind(each.type) in _HARMLESS


def unguarded(envoy: Envoy, cluster: str | None, guarded: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield the chains that do not ask us, and what they lead to."""
    everything = list(chains_of(envoy))
    yield from _unseen_filters(everything)
    if not guarded:
        place = envoy.listeners[0] if envoy.listeners else envoy.bootstrap
        yield place.breaks(NO_EXT_AUTHZ, f"{len(everything)} filter chains, and none asks {cluster or 'over gRPC'}")
        return
    protected = {name for each in guarded for branch, _ in each.inbound for name in branch.clusters if name}
    inner = {each.chain.listener["name"].text for each in guarded if each.chain.is_internal}
    for chain in everything:
        if chain.guards(cluster) or any(each.is_unseen for each in chain.filters):
            continue
        reached = _reached(chain)
        bypassed = sorted(reached & protected)
        is_mesh = chain.listener["traffic_direction"].enum(("UNSPECIFIED", "INBOUND", "OUTBOUND")) == "OUTBOUND"
        if bypassed:
            yield chain.hcm.breaks(BYPASS, f"{_name(chain)} leads to {', '.join(bypassed)} without a Check")
        elif reached and not is_mesh and not all(_leads_inside(envoy, name, inner) for name in reached):
            yield chain.hcm.breaks(UNGUARDED, f"{_name(chain)} has no ext_authz filter of ours")


def _unseen_filters(chains: Sequence[Chain]) -> Iterator[Finding]:
    for chain in chains:
        for each in chain.filters:
            if each.is_unseen:
                yield each.entry.breaks(NOT_JUDGED, f"the filter {each.name} comes from a control plane (ECDS)")


def _reached(chain: Chain) -> set[str]:
    ways = [branch for branch in branches_of(chain.routes) if not branch.is_answered_here]
    return {name for branch in ways for name in branch.clusters if name}


def _name(chain: Chain) -> str:
    return f"listener {chain.listener['name'].text or '?'}"


def _leads_inside(envoy: Envoy, cluster: str, inner: set[str]) -> bool:
    """Whether a cluster is a listener of this Envoy that asks us (envoy/attach-retries.yaml)."""
    found = envoy.clusters.get(cluster)
    if found is None:
        return False
    ends = [end for group in found.at("load_assignment", "endpoints") for end in group["lb_endpoints"]]
    names = [end.at("endpoint", "address", "envoy_internal_address", "server_listener_name").text for end in ends]
    return bool(names) and set(names) <= inner
