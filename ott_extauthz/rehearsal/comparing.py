"""Which recorded decisions would change under another policy?

The audit does not hold tokens, headers or bodies, so not everything can be decided again.  Three answers are given:

- ``same``: the request meets a route that asks for the same, or that asks for what the audit shows it has
- ``changes``: it is certain: no route, another audience, a client that is no longer named, …
- ``may change``: the routes differ in what the audit does not show; the fields are named
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.clients import Caller
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.rehearsal.differing import differing_keys

_DECIDED_BEFORE_ROUTES: Final = frozenset(
    {"request_malformed", "header_malformed", "header_lookalike", "header_duplicated", "host_malformed",
     "path_malformed"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one recorded decision fares; ``certain`` False: it may change, by what ``because`` names."""

    decision_id: str
    method: str
    host: str
    path: str
    was: str
    now: str
    certain: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All recorded decisions: how many stay, which change or may, how many could not be looked at."""

    same: int
    unreadable: int
    changes: tuple[Change, ...]


def compared(old: Policy, new: Policy, lines: Iterable[Mapping[str, Any] | None]) -> Comparison:
    """Compare what ``old`` and ``new`` say to every line of an audit; None is a line that could not be read."""
    same = unreadable = 0
    changes: list[Change] = []
    for line in lines:
        if line is None or not _is_readable(line):
            unreadable += 1
            continue
        if line.get("outcome") is None:  # the word of a shadow policy, which decided nothing
            continue
        change = _change(old, new, line)
        if change is None:
            same += 1
        else:
            changes.append(change)
    return Comparison(same=same, unreadable=unreadable, changes=tuple(changes))


def _is_readable(line: Mapping[str, Any]) -> bool:
    """Whether the line has the audit's form, as far as it is looked at."""
    is_decision = isinstance(line.get("outcome"), str) or line.get("shadow_outcome") is not None
    has_texts = all(isinstance(line.get(name), str | None) for name in _TEXTS)
    return is_decision and has_texts and isinstance(line.get("decision_id"), str)


def _change(old: Policy, new: Policy, line: Mapping[str, Any]) -> Change | None:
    if line.get("reason") in _DECIDED_BEFORE_ROUTES or not isinstance(line.get("path"), str):
        return None
    before, after, by_headers = _routes(old, new, line)
    was = line.get("reason") or "allowed"
    if before is None and after is None:
        return None
    if after is None:
        return _told(line, was, "route_unknown", certain=was != "route_unknown", because="no route matches any more")
    if before is None:
        return _told(line, was, _outlook(after), certain=False, because=f"the new route {after.name} matches")
    differing = list(differing_keys(before, after))
    refused = _fault(new, after, line)
    if refused != _fault(old, before, line):
        differing.append(_CLIENTS)
    if not differing:
        return None
    change = _judged(line, was, before, after, differing, by_clients=refused)
    return dataclasses.replace(change, certain=False) if change and by_headers else change


def _fault(policy: Policy, route: Route, line: Mapping[str, Any]) -> Reason | None:
    """Return what the policy's list of clients says to the caller that the audit names."""
    client, certificate = line.get("client_id"), line.get("peer_certificate")
    if policy.clients is None or route.credential is CredentialKind.PUBLIC or client is None:
        return None
    raw = None if certificate is None else decoded(certificate)
    peer = Peer(
        address=line.get("peer_address") or "",
        port=0,
        principal=line.get("peer_principal") or "",
        certificate=Reason.CERTIFICATE_MISSING if raw is None else Thumbprint(raw),
    )
    return policy.clients.fault(route, Caller(client_id=client, peer=peer, host=str(line.get("host"))))


def _judged(  # noqa: PLR0913 - both sides of the comparison, and what was found of it
    line: Mapping[str, Any], was: str, before: Route, after: Route, differing: list[str], *, by_clients: Reason | None
) -> Change | None:
    if after.credential is CredentialKind.ATTACHED:
        return _attached(line, was, before, after, differing)
    if after.credential is CredentialKind.PUBLIC:
        return _told(line, was, "allowed", certain=was != "allowed", because=f"{after.name} is public now")
    if before.credential is CredentialKind.ATTACHED:
        return _told(line, was, "a token is asked for", certain=True, because=f"{after.name} attaches none any more")
    if before.credential is CredentialKind.PUBLIC:
        return _told(line, was, "a token is asked for", certain=True, because=f"{after.name} is not public any more")
    if was != "allowed":
        return _told(line, was, "unknown", certain=False, because=f"{after.name} differs in {', '.join(differing)}")
    refused = _refusal(line, after) or by_clients
    if refused is not None:
        return _told(line, was, refused, certain=True, because=f"{after.name} asks for more")
    is_shown = line.get("client_id") is not None
    unknown = [name for name in differing if not is_shown or name not in _SHOWN]
    if not unknown:
        return None
    return _told(line, was, "unknown", certain=False, because=f"{after.name} differs in {', '.join(unknown)}")


def _attached(line: Mapping[str, Any], was: str, before: Route, after: Route, differing: list[str]) -> Change | None:
    """Say what an attaching route does to a recorded request; the audit does not hold which way it went."""
    if before.credential is not CredentialKind.ATTACHED:
        because = f"{after.name} {'attaches tokens' if after.signing is None else 'signs'} now"
        return _told(line, was, _outlook(after), certain=False, because=because)
    is_certain = was == "allowed" and set(differing) <= _OF_THE_TOKEN
    now = "another token" if is_certain else "unknown"
    return _told(line, was, now, certain=is_certain, because=f"{after.name} differs in {', '.join(differing)}")


_CLIENTS: Final = "the policy's clients"
_OF_THE_TOKEN: Final = frozenset({"audience", "scopes", "to"})
"""What of an attaching route changes its token and lets no request leave or stay."""
_SHOWN: Final = frozenset({"audience", "clients", "scopes", "roles", _CLIENTS})
"""What of a route's demands the audit of an allowed call shows to be met."""
_TEXTS: Final = (
    "outcome", "reason", "method", "host", "path", "route", "client_id", "audience", "peer_address", "peer_principal",
    "peer_certificate",
)  # fmt: skip


def _refusal(line: Mapping[str, Any], route: Route) -> str | None:
    if line.get("client_id") is None:  # let on by a route in shadow: the audit holds no token
        return None
    if line.get("audience") != route.audience:
        return "token_audience_mismatch"
    if route.clients is not None and line.get("client_id") not in route.clients:
        return "client_denied"
    scope = line.get("scope")
    if isinstance(scope, list) and not route.scopes <= {str(each) for each in scope}:
        return "scope_missing"
    return None


def _outlook(route: Route) -> str:
    if route.signing is not None:
        return "it is signed"
    return _OUTLOOKS[route.credential]


_OUTLOOKS: Final = {
    CredentialKind.PUBLIC: "allowed",
    CredentialKind.ONE_TIME_TOKEN: "a token is asked for",
    CredentialKind.MANDATE: "a mandate is asked for",
    CredentialKind.ACCESS_TOKEN: "an access token is asked for",
    CredentialKind.API_KEY: "an API key is asked for",
    CredentialKind.SIGNED_REQUEST: "a signed request is asked for",
    CredentialKind.CERTIFICATE: "a certificate is asked for",
    CredentialKind.ALL_OF: "several credentials are asked for",
    CredentialKind.ANY_OF: "one of several credentials is asked for",
    CredentialKind.ATTACHED: "a token is attached",
}


def _routes(old: Policy, new: Policy, line: Mapping[str, Any]) -> tuple[Route | None, Route | None, bool]:
    """Return the route of either policy, and whether headers chose it, which the audit does not hold."""
    before, after = _route(old, line), _route(new, line)
    decided, decides = _named(old, line), _named(new, line)
    if before is None or decided is None or before is decided:
        return before, after, False
    return decided, decides or after, True


def _named(policy: Policy, line: Mapping[str, Any]) -> Route | None:
    return next((route for route in policy.table.routes if route.name == line.get("route")), None)


def _route(policy: Policy, line: Mapping[str, Any]) -> Route | None:
    """Return the route that takes the request; the audit holds the canonical host and path."""
    method, host = str(line.get("method")), str(line.get("host"))
    target = canonical_target(method, "https", host, str(line.get("path")))
    if isinstance(target, Rejection):
        return None
    found = policy.table.match(method, target, {})
    if not isinstance(found, Rejection):
        return found
    # Which of several routes a header chose is not in the audit, but the route's name is.
    return _named(policy, line) if found.reason is Reason.ROUTE_CONDITION_UNMET else None


def _told(line: Mapping[str, Any], was: str, now: str, *, certain: bool, because: str) -> Change | None:
    return Change(
        decision_id=line["decision_id"],
        method=str(line.get("method")),
        host=str(line.get("host")),
        path=str(line.get("path")),
        was=was,
        now=now,
        certain=certain,
        because=because,
    )
