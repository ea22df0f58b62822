"""May this be done?  Everything that a route and a token ask of a request, in the order in which it is told.

Returns what the spend must charge; every other answer is a refusal, and the token is unspent.
"""

from dataclasses import replace

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.clients import Caller
from ott_extauthz.policy.constraints.judgement import constrained
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.holding import unheld
from ott_extauthz.policy.routes import Route
from ott_extauthz.ports import Charge


def authorized(route: Route, asked: Asked) -> tuple[Charge, ...] | Rejection:
    """Return the charges of an authorized request, or the first thing that refuses it."""
    unknown = _restricted(asked.token)
    if unknown is not None:
        return unknown
    reason = _unfit(route, asked) or _unmet(route, asked.token, asked.now_ms)
    if reason is not None:
        return Rejection(reason)
    request = Request(asked, route.limits)
    charges = constrained(route.name, request)
    if isinstance(charges, Rejection):
        return charges
    return unheld(route.name, route.rules, request) or charges


def narrowed(route: Route, asked: Asked) -> tuple[Charge, ...] | Rejection:
    """Return the charges of a token that came beside the caller's: it grants nothing, but what narrows it holds.

    What the route itself asks was asked of the caller, and is not counted twice.
    """
    of_the_token = replace(route.limits, constraints=None, bound_to_request=frozenset())
    return _restricted(asked.token) or constrained(route.name, Request(asked, of_the_token))


def _restricted(token: VerifiedToken) -> Rejection | None:
    # A narrowed token must never be taken for a wide one by a server that does not know the restriction.
    return Rejection(Reason.CONSTRAINT_UNKNOWN, detail=token.restrictions[0]) if token.restrictions else None


def _unfit(route: Route, asked: Asked) -> Reason | None:
    token = asked.token
    if route.clients is not None and token.client_id not in route.clients:
        return Reason.CLIENT_DENIED
    if asked.clients is None:
        return None
    caller = Caller(client_id=token.client_id, peer=asked.facts.peer, host=asked.target.host)
    return asked.clients.fault(route, caller)


def _unmet(route: Route, token: VerifiedToken, now_ms: int) -> Reason | None:
    if not route.scopes <= token.scope:
        return Reason.SCOPE_MISSING
    if route.max_auth_age_ms is not None and _is_stale(token.auth_time_ms, now_ms, route.max_auth_age_ms):
        return Reason.AUTHENTICATION_TOO_OLD
    return None


def _is_stale(auth_time_ms: int | None, now_ms: int, max_age_ms: int) -> bool:
    return auth_time_ms is None or now_ms - auth_time_ms > max_age_ms
