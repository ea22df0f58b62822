"""Do the conditions of a route hold?  ``when`` must be true; a ``deny_when`` must be false, and an error is neither."""

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.expressions.situation import JsonBody, Situation
from ott_extauthz.policy.rules import Rules
from ott_extauthz.policy.situations import situation_of


def unheld(route: str, rules: Rules, request: Request) -> Rejection | None:
    """Return the first condition that does not let this request pass, or None."""
    if not rules.conditions:
        return None
    situation = situation_for(route, rules, request)
    if isinstance(situation, Reason):
        return Rejection(situation, detail=next(rule.name for rule in rules.conditions if rule.condition.needs_body))
    found = (rule.refusal(situation) for rule in rules.conditions)
    return next((refusal for refusal in found if refusal is not None), None)


def situation_for(route: str, rules: Rules, request: Request) -> Situation | Reason:
    """Return what the conditions of a route see, or why the body that they read cannot be."""
    body: JsonBody | None = None
    if rules.needs_body:
        value = request.json
        if isinstance(value, Reason):
            return value
        body = JsonBody(value)
    return situation_of(request.asked, route=route, parameters=rules.parameters, names=rules.names, body=body)
