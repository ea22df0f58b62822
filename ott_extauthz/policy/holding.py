"""Do the conditions of a route hold?  ``when`` must be true; a ``deny_when`` must be false, and an error is neither."""

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.expressions.situation import JsonBody
from ott_extauthz.policy.rules import Rules
from ott_extauthz.policy.situations import situation_of


def unheld(route: str, rules: Rules, request: Request) -> Rejection | None:
    """Return the first condition that does not let this request pass, or None."""
    if not rules.conditions:
        return None
    body: JsonBody | None = None
    if rules.needs_body:
        value = request.json
        if isinstance(value, Reason):
            return Rejection(value, detail=next(rule.name for rule in rules.conditions if rule.condition.needs_body))
        body = JsonBody(value)
    situation = situation_of(request.asked, route=route, parameters=rules.parameters, names=rules.names, body=body)
    found = (rule.refusal(situation) for rule in rules.conditions)
    return next((refusal for refusal in found if refusal is not None), None)
