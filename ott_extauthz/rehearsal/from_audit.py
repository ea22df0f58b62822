"""Why was this decided, going by the audit alone?  What the line says, and what its reason and route mean."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.model.step import Step
from ott_extauthz.policy.document import Policy
from ott_extauthz.rehearsal.shown import plain

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
    route = next((route for route in policy.table.routes if route.name == line.get("route")), None)
    same = "" if policy.revision == line.get("policy_revision") else " (another one than decided)"
    if route is None:
        return [f"revision {policy.revision}{same} has no route of that name"]
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
