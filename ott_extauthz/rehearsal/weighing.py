"""What narrows this call, and does each of it hold?  The policy's clients, mandates, constraints, conditions.

The Check stops at the first that does not hold; here all of them are asked, so that one run shows all there is to mend.
"""

from collections.abc import Iterator
from typing import Any

from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.asked import Asked, Outgoing
from ott_extauthz.policy.clients import Caller
from ott_extauthz.policy.constraints.bound_request import request_fault
from ott_extauthz.policy.constraints.charging import charges_of
from ott_extauthz.policy.constraints.judgement import narrowing, verdicts
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.expressions.situation import Situation
from ott_extauthz.policy.holding import outgoing_situation_for, situation_for
from ott_extauthz.policy.routes import Route
from ott_extauthz.ports import ChargeKind

_HOLDS = "holds"


def weighed(route: Route, asked: Asked) -> dict[str, Any]:
    """Return each thing that narrows the call by where it stands, and whether it holds: in words, or as a reason."""
    request = Request(asked, route.limits)
    found: dict[str, Any] = {}
    if asked.clients is not None:
        caller = Caller(client_id=asked.token.client_id, peer=asked.facts.peer, host=asked.target.host)
        found["policy's clients"] = asked.clients.fault(route, caller) or _HOLDS
    if asked.token.binding is not None or route.limits.bound_to_request:
        unbound = request_fault(route.limits, asked)
        found["bound to this request"] = _HOLDS if unbound is None else unbound.reason
    for constraints in narrowing(request):
        found |= _constraints(constraints, request, route.name)
    return found | dict(_conditions(route, request))


def _constraints(constraints: Constraints, request: Request, route: str) -> dict[str, str]:
    found = {
        f"{constraints.origin}.{name}": reason or _HOLDS
        for name, reason in verdicts(constraints, request)
        if getattr(constraints, name) is not None
    }
    if constraints.rate_limit is None and constraints.budget is None:
        return found
    charges = charges_of(constraints, request, route)
    if isinstance(charges, Reason):
        return found | {f"{constraints.origin}.budget": charges}
    told = [f"{charge.kind.name.lower()} {charge.cost} of {charge.limit}{_per(charge.kind, charge.period_ms)}"
            for charge in charges]  # fmt: skip
    return found | {f"{constraints.origin}.charges": ", ".join(told)}


def _per(kind: ChargeKind, period_ms: int) -> str:
    return f" per {period_ms} ms" if kind is ChargeKind.RATE else ""


def _conditions(route: Route, request: Request) -> Iterator[tuple[str, str]]:
    """Yield each condition with its truth; an error is neither true nor false, and refuses."""
    if route.rules.conditions:
        yield from _truths(route, situation_for(route.name, route.rules, request))


def outgoing_conditions(route: Route, outgoing: Outgoing) -> Iterator[tuple[str, str]]:
    """Yield each condition of an attaching route with its truth."""
    if route.rules.conditions:
        yield from _truths(route, outgoing_situation_for(route.name, route.rules, outgoing))


def _truths(route: Route, situation: Situation | Reason) -> Iterator[tuple[str, str]]:
    for rule in route.rules.conditions:
        if isinstance(situation, Reason):
            yield rule.name, f"not asked, {situation}: {rule.condition.text}"
            continue
        outcome = rule.condition.evaluate(situation)
        why = f" ({outcome.error})" if outcome.error else ""
        yield rule.name, f"{outcome.truth.value}{why}: {rule.condition.text}"
