"""Why was this decided, going by the audit alone?  What the line says, and what its reason and route mean."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.rehearsal.shown import plain
from ott_extauthz.rehearsal.unrouted import unrouted

_ABOUT: Final[Mapping[Step, tuple[str, ...]]] = {
    Step.DECODE: ("at", "method", "peer_address", "peer_principal"),
    Step.ROUTE: ("host", "path", "route", "policy_revision"),
    Step.VERIFY: ("issuer", "subject", "client_id", "audience", "token_id", "txn"),
    Step.BIND: ("peer_certificate",),
    Step.AUTHORIZE: ("scope", "detail"),
    Step.ATTACH: ("attached", "signing_key", "signature_form", "signature_keyid"),
    Step.SPEND: ("token_state", "first_at", "first_decision_id", "first_route", "first_peer_certificate"),
}


def line_of(decision_id: str, lines: Iterable[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """Return the audit's line of a decision."""
    return next((line for line in lines if line is not None and line.get("decision_id") == decision_id), None)


def told(line: Mapping[str, Any], policy: Policy | None) -> str:
    """Return what is known of a decision, step by step, for a terminal."""
    reason = line.get("reason")
    outcome = f"{plain(line.get('outcome'))}{f' ({plain(reason)})' if reason else ''}"
    parts = [f"decision {plain(line['decision_id'])}: {outcome}"]
    for step, names in _ABOUT.items():
        known = [f"    {name}: {plain(line[name])}" for name in names if line.get(name) is not None]
        if known:
            parts += [step, *known]
    if reason:
        is_known = isinstance(reason, str) and reason in set(Reason)
        parts.append(f"{plain(reason)}: {REASONS[Reason(reason)].text if is_known else 'not known here'}")
    if policy is not None:
        parts += _route_now(line, policy)
    return "\n".join(parts)


def _route_now(line: Mapping[str, Any], policy: Policy) -> list[str]:
    same = "" if policy.revision == line.get("policy_revision") else " (another one than decided)"
    if not line.get("route"):
        return _without_a_route(line, policy, f"revision {policy.revision}{same}")
    route = next((route for route in policy.table.routes if route.name == line["route"]), None)
    if route is None:
        return [f"revision {policy.revision}{same} has no route named {plain(line['route'])}"]
    if route.signing is not None:
        return [f"route {route.name} of revision {policy.revision}{same} signs with the key {route.signing.key}"]
    if route.attachment is not None:
        scope = route.attachment.scope
        return [
            f"route {route.name} of revision {policy.revision}{same} attaches a token",
            f"    audience: {route.attachment.audience}",
            f"    scopes: {'all that are granted' if scope is None else ', '.join(sorted(scope))}",
        ]
    return [
        f"route {route.name} of revision {policy.revision}{same} asks for",
        f"    audience: {route.audience}",
        f"    bound_to: {', '.join(sorted(route.asks.bound_to)) or 'nothing'}",
        f"    clients: {'any' if route.clients is None else ', '.join(sorted(route.clients))}",
        f"    scopes: {', '.join(sorted(route.scopes)) or 'none'}",
    ]


def _without_a_route(line: Mapping[str, Any], policy: Policy, revision: str) -> list[str]:
    """Tell what became of a call that no route was found for: the audit has no headers, and these may choose, too."""
    method, host, path = (line.get(name) for name in ("method", "host", "path"))
    if not (isinstance(method, str) and isinstance(host, str) and isinstance(path, str)):
        return [f"{revision}: it was refused before a route was looked for"]
    target = canonical_target(method, "https", host, path)
    if isinstance(target, Rejection):
        return [f"{revision}: no route was looked for ({target.reason})"]
    found = policy.table.match(method, target, {})
    if isinstance(found, Rejection):
        return [f"{revision}: {unrouted(found.reason, policy, method, target, {})}"]
    return [f"{revision} has the route {found.name} for this host, method and path"]
