"""Is every route guarded, and told of rightly?  Virtual hosts, routes, weighted clusters, their settings."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import PER_ROUTE, Branch, settings_at
from ott_extauthz.envoy_lint.expectations import ExpectedRoute
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.matching import may_mean
from ott_extauthz.envoy_lint.rules import repeats, targets
from ott_extauthz.envoy_lint.rules.addresses import bound_to, is_local, shown
from ott_extauthz.envoy_lint.rules.asking import ELSEWHERE
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.model.facts import is_ours

SWITCHED_OFF: Final = Rule(
    name="filter-disabled",
    severity=Severity.ERROR,
    title="Requests pass without a Check here",
    why="no token is asked for, and a client's own x-ott-subject reaches the upstream",
    mend="no disabled; give public routes to the policy (credential: public)",
)
UNKNOWN_ROUTE: Final = Rule(
    name="unknown-policy-route",
    severity=Severity.WARNING,
    title="A route of the policy is named that the policy does not have",
    why="every call here is refused (route_name_unknown)",
    mend="name a route of the policy in context_extensions: ott.route",
)
UNKNOWN_EXTENSION: Final = Rule(
    name="unknown-extension",
    severity=Severity.WARNING,
    title="A word for the server that it does not know",
    why="it has no effect, and somebody counts on one",
    mend="ott.route, ott.mode (shadow or enforce) or ott.direction (outbound)",
)
PER_ROUTE_NAME: Final = Rule(
    name="per-route-name",
    severity=Severity.WARNING,
    title="Settings for a filter that the chain does not have",
    why="Envoy finds them by the filter's name: under another one they have no effect",
    mend="the key in typed_per_filter_config is the name of the filter in http_filters",
)
IDENTITY_SET: Final = Rule(
    name="identity-header-set",
    severity=Severity.WARNING,
    title="A route writes one of our identity headers itself",
    why="it comes after the Check: the upstream is told of an identity that nobody proved",
    mend="no x-ott or x-ott-... in request_headers_to_add",
)
OUTBOUND_EXPOSED: Final = Rule(
    name="outbound-exposed",
    severity=Severity.ERROR,
    title="Others can reach the listener that attaches tokens",
    why="whoever reaches it calls as the workload, with tokens of its own",
    mend="a loopback address or a Unix socket",
)
RULES: Final = (
    *repeats.RULES, SWITCHED_OFF, UNKNOWN_ROUTE, UNKNOWN_EXTENSION, PER_ROUTE_NAME, IDENTITY_SET, *targets.RULES,
    OUTBOUND_EXPOSED,
)  # fmt: skip

_MEANINGS: Final = {"ott.route": None, "ott.mode": ("shadow", "enforce"), "ott.direction": ("outbound",)}


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what the routes behind the filter do to a Check."""
    for branch, served in guarded.served:
        off = branch.switched_off(guarded.guard)
        if off is not None and not _is_harmless(guarded, branch, served):
            yield off.breaks(SWITCHED_OFF, f"{guarded.guard.name} is disabled")
    for branch, served in guarded.checked:
        yield from _words(guarded, branch)
        yield from _identities(branch)
        yield from targets.findings(guarded, branch)
        elsewhere = branch.asks_elsewhere(guarded.guard)
        if elsewhere is not None and not _is_harmless(guarded, branch, served):
            yield elsewhere.breaks(ELSEWHERE, f"{elsewhere.path[-1]} in check_settings")
        yield from repeats.findings(guarded, branch, served)
    yield from _misnamed(guarded)
    yield from _exposed(guarded)


def _is_harmless(guarded: Guarded, branch: Branch, served: tuple[ExpectedRoute, ...]) -> bool:
    """Another's host, one exact path that only public routes of the policy mean, or nothing that is forwarded."""
    if guarded.policy_hosts is not None and not may_mean(branch.virtual_host, guarded.policy_hosts):
        return True
    is_exact = bool(branch.route.at("match", "path").text)
    is_public = bool(served) and all(route.is_public for route in served)
    return branch.is_answered_here or (is_exact and is_public)


def _words(guarded: Guarded, branch: Branch) -> Iterator[Finding]:
    known = guarded.policy_routes
    for key, node in branch.extensions(guarded.guard.name).items():
        if not key.startswith("ott."):
            continue
        meant = _MEANINGS.get(key)
        if key not in _MEANINGS or (meant is not None and node.text not in meant):
            yield node.breaks(UNKNOWN_EXTENSION, f"{key}: {node.text}")
        elif key == "ott.route" and known and node.text not in known:
            yield node.breaks(UNKNOWN_ROUTE, f"the policy has no route {node.text}")


def _identities(branch: Branch) -> Iterator[Finding]:
    for level in branch.levels:
        for option in level["request_headers_to_add"]:
            key = option.at("header", "key")
            if is_ours(key.text.lower().replace("_", "-")):  # one variable to CGI-like upstreams
                yield key.breaks(IDENTITY_SET, f"{key.text} is set here")


def _misnamed(guarded: Guarded) -> Iterator[Finding]:
    names = {each.name for each in guarded.chain.filters}
    for branch in guarded.branches:
        for level in branch.levels:
            for setting in settings_at(level):
                name = str(setting.entry.path[-1])
                if setting.type == PER_ROUTE and name not in names:
                    yield setting.entry.breaks(PER_ROUTE_NAME, f"the chain has no filter named {name}")


def _exposed(guarded: Guarded) -> Iterator[Finding]:
    listener = guarded.chain.listener
    is_mesh = listener["traffic_direction"].enum(("UNSPECIFIED", "INBOUND", "OUTBOUND")) == "OUTBOUND"
    open_to_others = [address for address in bound_to(listener) if not is_local(address)]
    if guarded.chain.is_internal or is_mesh or not open_to_others:
        return
    if any(guarded.is_outbound(branch) for branch, _ in guarded.checked):
        yield open_to_others[0].breaks(OUTBOUND_EXPOSED, f"{shown(open_to_others[0])} attaches tokens")
