"""Is one Check one delivery?  Retries, hedges, mirrors and internal redirects of a route."""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.expectations import ExpectedRoute
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.retrying import obeyed, options_behind, retry_policy, unsafe_reasons

ROUTE_RETRIES: Final = Rule(
    name="route-retries",
    severity=Severity.ERROR,
    title="A route that takes tokens retries calls that may have been done",
    why="one Check, one token spent, and several deliveries to the upstream",
    mend='retry_on: "connect-failure,refused-stream" at most, unless the upstream deduplicates by x-ott-token-id',
)
ATTACHED_RETRIES: Final = Rule(
    name="attached-retries",
    severity=Severity.WARNING,
    title="A call is retried with the token that was attached to the first try",
    why="the receiver may have spent it: the retry is refused",
    mend='retry_on: "connect-failure,refused-stream" at most, or the listener of envoy/attach-retries.yaml',
)
HEDGING: Final = Rule(
    name="hedging",
    severity=Severity.ERROR,
    title="A route that takes tokens hedges",
    why="a slow try is sent again while the first one is under way: one token, two deliveries",
    mend="no hedge_policy",
)
MIRRORING: Final = Rule(
    name="mirroring",
    severity=Severity.ERROR,
    title="A route that takes tokens mirrors its requests",
    why="the copy is a second delivery of a call that was to happen once",
    mend="no request_mirror_policies",
)
INTERNAL_REDIRECT: Final = Rule(
    name="internal-redirect",
    severity=Severity.WARNING,
    title="A route that takes tokens follows redirects itself",
    why="the second Check finds the token gone, but a public target is reached; it crashed Envoy, too (CVE-2026-47221)",
    mend="no internal_redirect_policy",
)
RULES: Final = (ROUTE_RETRIES, ATTACHED_RETRIES, HEDGING, MIRRORING, INTERNAL_REDIRECT)


def findings(guarded: Guarded, branch: Branch, served: Sequence[ExpectedRoute]) -> Iterator[Finding]:
    """Yield what could make several deliveries of one Check."""
    if branch.is_answered_here:
        return
    if guarded.is_outbound(branch):
        yield from (node.breaks(ATTACHED_RETRIES, told) for node, told in _retries(guarded, branch))
    elif guarded.may_be_single_use(served):
        yield from _repeats(guarded, branch)


def _repeats(guarded: Guarded, branch: Branch) -> Iterator[Finding]:
    for node, told in _retries(guarded, branch):
        yield node.breaks(ROUTE_RETRIES, told)
    for level in branch.levels:
        for option in level["request_headers_to_add"]:
            key = option.at("header", "key")
            if key.text.lower() in obeyed(guarded, branch):  # the router reads them once the route has added them
                yield key.breaks(ROUTE_RETRIES, f"{key.text} is set here")
    action, host = branch.route["route"], branch.virtual_host
    hedge = next((each["hedge_policy"] for each in (action, host) if each["hedge_policy"].is_there), None)
    if hedge is not None and (hedge["hedge_on_per_try_timeout"].truth or (hedge["initial_requests"].number or 1) > 1):
        yield hedge.breaks(HEDGING, "hedge_policy")
    for place in (action, host, branch.configuration, *options_behind(guarded, branch)):
        if place["request_mirror_policies"].value:
            yield place["request_mirror_policies"].breaks(MIRRORING, "request_mirror_policies")
    if action["internal_redirect_policy"].is_there:
        yield action["internal_redirect_policy"].breaks(INTERNAL_REDIRECT, "internal_redirect_policy")
    if action["internal_redirect_action"].enum(("PASS_THROUGH", "HANDLE_INTERNAL")) != "PASS_THROUGH":
        yield action["internal_redirect_action"].breaks(INTERNAL_REDIRECT, "internal_redirect_action")


def _retries(guarded: Guarded, branch: Branch) -> Iterator[tuple[Node, str]]:
    """Yield the retry policy, if it sends again what may have arrived."""
    policy = retry_policy(guarded, branch)
    unsafe = unsafe_reasons(policy)
    if policy is not None and unsafe and policy["num_retries"].number != 0:
        yield policy, f"retry_on has {', '.join(unsafe)}"
