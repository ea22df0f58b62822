"""Do the conditions of a route hold?  ``when`` must be true; a ``deny_when`` must be false, and an error is neither."""

from collections.abc import Callable
from typing import Any

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.asked import Outgoing
from ott_extauthz.policy.constraints.request import Request, json_of
from ott_extauthz.policy.expressions.situation import JsonBody, Situation
from ott_extauthz.policy.rules import Rules
from ott_extauthz.policy.situations import situation_of


def unheld(route: str, rules: Rules, request: Request) -> Rejection | None:
    """Return the first condition that does not let this request pass, or None."""
    return _unheld(rules, lambda: situation_for(route, rules, request))


def unheld_outgoing(route: str, rules: Rules, outgoing: Outgoing) -> Rejection | None:
    """Return the first condition that does not let this request leave, or None."""
    return _unheld(rules, lambda: outgoing_situation_for(route, rules, outgoing))


def _unheld(rules: Rules, look: Callable[[], Situation | Reason]) -> Rejection | None:
    if not rules.conditions:
        return None
    situation = look()
    if isinstance(situation, Reason):
        return Rejection(situation, detail=next(rule.name for rule in rules.conditions if rule.condition.needs_body))
    found = (rule.refusal(situation) for rule in rules.conditions)
    return next((refusal for refusal in found if refusal is not None), None)


def situation_for(route: str, rules: Rules, request: Request) -> Situation | Reason:
    """Return what the conditions of a route see, or why the body that they read cannot be."""
    return _situation(route, rules, request.asked, request.json if rules.needs_body else None)


def outgoing_situation_for(route: str, rules: Rules, outgoing: Outgoing) -> Situation | Reason:
    """Return what the conditions of an attaching route see, or why the body that they read cannot be."""
    return _situation(route, rules, outgoing, json_of(outgoing.facts) if rules.needs_body else None)


def _situation(route: str, rules: Rules, asked: Outgoing, value: Any) -> Situation | Reason:  # noqa: ANN401 - JSON
    if isinstance(value, Reason):
        return value
    body = JsonBody(value) if rules.needs_body else None
    return situation_of(asked, route=route, parameters=rules.parameters, names=rules.names, body=body)
