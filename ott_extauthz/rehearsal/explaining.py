"""Why was this decided?  Every step of a Check, what it looked at, and the first thing that refused.

Values that a caller sent are shown as JSON text, so that no control character reaches a terminal; a token shows its
claims and never its signature.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.inspect import inspect_token
from ott_extauthz.check.attaching import DIRECTION_EXTENSION
from ott_extauthz.check.checker import ROUTE_EXTENSION
from ott_extauthz.model.decision import Allow, Attached, AttachedToken, Deny
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.step import Step
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.policy.terms import SigningTerms
from ott_extauthz.rehearsal.shown import plain
from ott_extauthz.rehearsal.stage import Rehearsed
from ott_extauthz.rehearsal.stand_ins import place_of
from ott_extauthz.rehearsal.unrouted import other_methods, unrouted
from ott_extauthz.rehearsal.weighing import outgoing_conditions, weighed
from ott_extauthz.wire.encode import answer_headers, response_from

_FAR: Final = 10**12
_UNTOLD_CLAIMS: Final = frozenset({"jti"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """One step: what it looked at, and how it ended."""

    step: Step
    verdict: str
    saw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps in their order, and the decision in words; ``would_be`` is that of a route in shadow."""

    outcome: str
    reason: str | None
    text: str
    steps: tuple[StepSeen, ...]
    would_be: str | None = None


def explained(rehearsed: Rehearsed) -> Explanation:
    """Tell how a rehearsed decision came about."""
    decision = rehearsed.decision
    steps = tuple(_seen(step, rehearsed) for step in Step if not _is_skipped(step, rehearsed))
    if isinstance(decision, Deny):
        return Explanation(outcome="deny", reason=decision.reason, text=_refused(decision, rehearsed), steps=steps)
    text, would_be = f"route {decision.route} lets it through", decision.would_be
    if decision.attached is not None:
        text = f"route {decision.route} lets it leave {_with(decision.attached)}"
    if would_be is None:
        return Explanation(outcome="allow", reason=None, text=text, steps=steps)
    if isinstance(would_be, Allow):
        text += ", for it is in shadow; enforced it would, too, unless the used-list refuses"
        return Explanation(outcome="allow", reason=None, text=text, steps=steps, would_be="allow")
    text += f", for it is in shadow; enforced it would refuse ({would_be.reason}): {would_be.meaning.text}"
    return Explanation(outcome="allow", reason=None, text=text, steps=steps, would_be=would_be.reason)


def _refused(decision: Deny, rehearsed: Rehearsed) -> str:
    """Tell what the reason means; where no route answers, what there is instead."""
    attempt, facts = rehearsed.attempt, rehearsed.facts
    if attempt.route is not None or attempt.target is None or isinstance(facts, Malformed):
        return decision.meaning.text
    return unrouted(decision.reason, attempt.policy, facts.method, attempt.target, facts.headers)


def _with(attached: Attached) -> str:
    if isinstance(attached, AttachedToken):
        return f"with a fresh token for {attached.audience}"
    return f"signed with the key {attached.key}"


def _seen(step: Step, rehearsed: Rehearsed) -> StepSeen:
    """Tell one step; on a route in shadow the last one is as far as its word goes, and the request is let on."""
    decision, order, last = rehearsed.decision, list(Step), rehearsed.attempt.step
    would_be = decision.would_be if isinstance(decision, Allow) else None
    if order.index(step) > order.index(last) and not (would_be is not None and step is Step.ALLOW):
        return StepSeen(step=step, verdict="not reached" if would_be is None else "left out: the route is in shadow")
    saw = {name: value for name, value in _SAW[step](rehearsed).items() if value is not None}
    judged = would_be or decision
    if step is not last or isinstance(judged, Allow):
        return StepSeen(step=step, verdict="ok", saw=saw)
    return StepSeen(step=step, verdict=_refusal(judged, "REFUSED" if would_be is None else "WOULD REFUSE"), saw=saw)


def _is_skipped(step: Step, rehearsed: Rehearsed) -> bool:
    route = rehearsed.attempt.route
    kind = CredentialKind.ONE_TIME_TOKEN if route is None else route.credential
    return step in _SKIPPED[kind]


def _refusal(decision: Deny, verb: str) -> str:
    by = f" by {decision.detail}" if decision.detail else ""
    return f"{verb}: {decision.reason}{by}"


def _decode(rehearsed: Rehearsed) -> dict[str, Any]:
    facts = rehearsed.facts
    if isinstance(facts, Malformed):
        return {}
    body = facts.body
    state = "complete" if body.is_complete else "not said to be complete"
    return {
        "method": facts.method,
        "host": facts.host,
        "path": _without_query(facts.path),
        "headers": sorted(facts.headers),
        "body": f"{len(body.raw)} bytes, {state}" if body.raw else "none buffered",
        "peer": facts.peer.principal or facts.peer.address,
    }


def _without_query(path: str) -> str:
    """A query may hold what nobody should read in a build's log."""
    bare, mark, query = path.partition("?")
    return f"{bare}{mark}" + (f"… ({len(query)} characters)" if query else "")


def _route(rehearsed: Rehearsed) -> dict[str, Any]:
    attempt = rehearsed.attempt
    target, route = attempt.target, attempt.route
    saw: dict[str, Any] = {"policy revision": attempt.policy_revision}
    if target is not None:
        saw |= {"canonical host": target.host, "canonical path": target.path}
    if route is not None:
        return saw | {"route": route.name}
    return saw | _named(rehearsed) | {"other methods": _other_methods(rehearsed)}


def _named(rehearsed: Rehearsed) -> dict[str, Any]:
    """Tell which route Envoy names, where it names one, and which the policy has."""
    facts, attempt = rehearsed.facts, rehearsed.attempt
    named = "" if isinstance(facts, Malformed) else facts.context_extensions.get(ROUTE_EXTENSION, "")
    if not named or attempt.target is None or isinstance(facts, Malformed):
        return {}
    found = attempt.policy.table.match(facts.method, attempt.target, facts.headers)
    return {"Envoy names": named, "the policy has": found.name if isinstance(found, Route) else "no route"}


def _other_methods(rehearsed: Rehearsed) -> list[str] | None:
    """Return which methods this path does have a route for, where the one at hand has none."""
    target, facts = rehearsed.attempt.target, rehearsed.facts
    if target is None or isinstance(facts, Malformed):
        return None
    others = other_methods(rehearsed.attempt.policy.table, target, facts.headers)
    has_this = any(each.startswith(f"{facts.method}: ") for each in others)
    return None if has_this else others or None


def _credential(rehearsed: Rehearsed) -> dict[str, Any]:
    route, facts = _found(rehearsed)
    asks = rehearsed.attempt.asks or route.asks
    if asks.credential is CredentialKind.CERTIFICATE:
        return {"wanted": _wanted(route), "wanted in": "the connection"}
    values = facts.headers.get(place_of(asks), ())
    return {
        "wanted": _wanted(route),
        "wanted in": _place_told(asks),
        "found": f"{len(values)} value(s)" if values else "nothing",
    }


def _place_told(asks: Asks) -> str:
    if asks.cookie is not None:
        return f"the cookie {asks.cookie}"
    return place_of(asks) if asks.scheme is None else f"{asks.header}: {asks.scheme} …"


def _wanted(route: Route) -> str:
    kinds = [asks.credential for asks in route.parts]
    return kinds[0] if len(kinds) == 1 else f"{route.credential.replace('_', ' ')} {', '.join(kinds)}"


def _verify(rehearsed: Rehearsed) -> dict[str, Any]:
    route, _ = _found(rehearsed)
    inspected = inspect_token(rehearsed.presented or "", rehearsed.attempt.now_ms)
    claims = inspected.claims or {}
    return {
        "wanted audience": route.audience,
        "header": inspected.header,
        "claims": {name: value for name, value in claims.items() if name not in _UNTOLD_CLAIMS},
        "age in seconds": _age(claims, rehearsed.attempt.now_ms),
        "wrong in form": list(inspected.problems) or None,
    }


def _age(claims: Mapping[str, Any], now_ms: int) -> float | None:
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or not abs(issued) < _FAR:
        return None
    return round(now_ms / 1000 - issued, 3)


def _bind(rehearsed: Rehearsed) -> dict[str, Any]:
    route, facts = _found(rehearsed)
    token, certificate = rehearsed.attempt.token, facts.peer.certificate
    bound_to = token.confirmation.x5t_s256 if token else None
    return {
        "route wants": sorted((rehearsed.attempt.asks or route.asks).bound_to) or "no binding",
        "token is bound to": None if bound_to is None else encoded(bound_to),
        "caller's certificate": certificate if isinstance(certificate, Reason) else encoded(certificate),
        "caller's identity": facts.peer.principal or None,
        "token's subject": token.subject if token else None,
    }


def _authorize(rehearsed: Rehearsed) -> dict[str, Any]:
    route, _ = _found(rehearsed)
    token, asked = rehearsed.attempt.token, rehearsed.asked
    return {
        "route's clients": None if route.clients is None else sorted(route.clients),
        "token's client": token.client_id if token else None,
        "route's scopes": sorted(route.scopes) or None,
        "token's scopes": sorted(token.scope) if token else None,
        "route's max_auth_age in seconds": None if route.max_auth_age_ms is None else route.max_auth_age_ms / 1000,
        "seconds since the login": _since_login(rehearsed) if route.max_auth_age_ms is not None else None,
        "route's roles": sorted(route.roles) or None,
        "not enforceable": list(token.restrictions) or None if token else None,
    } | ({} if asked is None else weighed(route, asked))


def _since_login(rehearsed: Rehearsed) -> float | str:
    token = rehearsed.attempt.token
    if token is None or token.auth_time_ms is None:
        return "the token does not say"
    return (rehearsed.attempt.now_ms - token.auth_time_ms) / 1000


def _spend(rehearsed: Rehearsed) -> dict[str, Any]:
    token, decision = rehearsed.attempt.token, rehearsed.decision
    state = decision.token_state if isinstance(decision, Deny) else "spent"
    return {"token id": token.public_id if token else None, "token afterwards": state}


def _attach(rehearsed: Rehearsed) -> dict[str, Any]:
    """Tell what would be asked for, or signed; token and signature are made by the server, with what it has."""
    route, facts = _found(rehearsed)
    outgoing = rehearsed.outgoing
    direction = {DIRECTION_EXTENSION: facts.context_extensions.get(DIRECTION_EXTENSION, "not said")}
    conditions = {} if outgoing is None else dict(outgoing_conditions(route, outgoing))
    return direction | (_token(route) if route.signing is None else _signature(route.signing)) | conditions


def _token(route: Route) -> dict[str, Any]:
    wanted = route.attachment
    assert wanted is not None  # noqa: S101 - an attaching route that does not sign has one
    return {
        "token for audience": wanted.audience,
        "with the scopes": "all that are granted" if wanted.scope is None else sorted(wanted.scope),
        "for this request's": sorted(wanted.bound_to_request) or None,
        "put into": wanted.header if wanted.scheme is None else f"{wanted.header}: {wanted.scheme} …",
    }


def _signature(signing: SigningTerms) -> dict[str, Any]:
    components = None if signing.components is None else " ".join(map(str, signing.components))
    return {
        "signed with the key": signing.key,
        "components": components or "those of the key's form",
        "body": "signed" if signing.covers_body else "not signed",
        "webhook-id": "the workload's own, where it sends one" if signing.keep_id else None,
    }


def _allow(rehearsed: Rehearsed) -> dict[str, Any]:
    to_set, to_remove = answer_headers(response_from(rehearsed.decision, is_grpc=False, expose_reason=False))
    return {"headers set": to_set, "headers removed": sorted(to_remove)}


_SAW: Final[Mapping[Step, Callable[[Rehearsed], dict[str, Any]]]] = {
    Step.DECODE: _decode,
    Step.ROUTE: _route,
    Step.CREDENTIAL: _credential,
    Step.VERIFY: _verify,
    Step.BIND: _bind,
    Step.AUTHORIZE: _authorize,
    Step.SPEND: _spend,
    Step.ATTACH: _attach,
    Step.ALLOW: _allow,
}


_FOR_CREDENTIALS: Final = frozenset({Step.CREDENTIAL, Step.VERIFY, Step.BIND, Step.AUTHORIZE, Step.SPEND})
_SKIPPED: Final[Mapping[CredentialKind, frozenset[Step]]] = {
    CredentialKind.ONE_TIME_TOKEN: frozenset({Step.ATTACH}),
    CredentialKind.MANDATE: frozenset({Step.ATTACH}),
    CredentialKind.ACCESS_TOKEN: frozenset({Step.ATTACH}),
    CredentialKind.API_KEY: frozenset({Step.ATTACH}),
    CredentialKind.SIGNED_REQUEST: frozenset({Step.ATTACH}),
    CredentialKind.CERTIFICATE: frozenset({Step.ATTACH}),
    CredentialKind.ALL_OF: frozenset({Step.ATTACH}),
    CredentialKind.ANY_OF: frozenset({Step.ATTACH}),
    CredentialKind.PUBLIC: _FOR_CREDENTIALS | {Step.ATTACH},
    CredentialKind.ATTACHED: _FOR_CREDENTIALS,
}


def _found(rehearsed: Rehearsed) -> tuple[Route, Facts]:
    """Return what every step after the route has."""
    if rehearsed.attempt.route is None or isinstance(rehearsed.facts, Malformed):
        raise ValueError("a step after the route without a route")
    return rehearsed.attempt.route, rehearsed.facts


def as_text(explanation: Explanation) -> str:
    """Return an explanation for a terminal: a line for each step, and under it what it saw."""
    lines = []
    for number, seen in enumerate(explanation.steps, 1):
        lines.append(f"{number} {seen.step:<11} {seen.verdict}")
        lines += [f"    {name}: {_shown(value)}" for name, value in seen.saw.items()]
    verb = "allowed" if explanation.outcome == "allow" else f"denied ({explanation.reason})"
    return "\n".join([*lines, f"{verb}: {explanation.text}"])


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever a step saw
    return plain(value) if isinstance(value, str) else json.dumps(value)
