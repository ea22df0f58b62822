"""What does a condition get to see?  One request with its token, in the words of the policy.

What has two readings is absent, so that reading it is an error and never a guess: a header that came twice, a query
that is not UTF-8, the amounts of two mandates.  What costs time is worked out only where a condition names it.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ott_extauthz.model.facts import Facts
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.constraints.address import address_from
from ott_extauthz.policy.expressions import situation as seen
from ott_extauthz.policy.readings import decoded

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPIFFE: Final = "spiffe://"


def situation_of(
    asked: Asked, *, route: str, parameters: Mapping[str, int], names: frozenset[str], body: seen.JsonBody | None
) -> seen.Situation:
    """Return what conditions that read ``names`` see; ``parameters`` are those of the route's path, by segment."""
    facts, target = asked.facts, asked.target
    request = seen.Request(
        method=facts.method,
        host=target.host,
        path=target.path,
        time=_instant(asked.now_ms),
        path_params={name: _parameter(target.segments, place) for name, place in parameters.items()},
        query=_query(target.query) if "request.query" in names else {},
        headers=_headers(facts) if "request.headers" in names else {},
        source=_source(asked, needs_asn="request.source.asn" in names),
        json=body,
    )
    return seen.Situation(
        request=request,
        mesh=seen.Mesh(policy_revision=asked.policy_revision, route=route, region=asked.region),
        token=_token(asked.token),
        peer=_peer(facts),
        mandate=_mandate(asked.token),
    )


def _instant(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _parameter(segments: tuple[str, ...], place: int) -> str:
    """Return a path parameter as a server decodes it; one that is not UTF-8 was refused with its path."""
    return decoded(segments[place]).encode("latin-1").decode()


def _headers(facts: Facts) -> dict[str, str]:
    return {name: values[0] for name, values in facts.headers.items() if len(values) == 1}


def _query(text: str) -> dict[str, list[str]] | None:
    """Read a form-encoded query (WHATWG URL §5.1); None where a part is not UTF-8."""
    found: dict[str, list[str]] = {}
    try:
        for part in filter(None, text.split("&")):
            name, _, value = part.partition("=")
            found.setdefault(_plain(name), []).append(_plain(value))
    except UnicodeDecodeError:
        return None
    return found


def _plain(text: str) -> str:
    return decoded(text.replace("+", " ")).encode("latin-1").decode()


def _source(asked: Asked, *, needs_asn: bool) -> seen.Source:
    address = address_from(asked.facts.peer.address)
    if address is None:
        return seen.Source()
    asn = asked.asn_of(address) if needs_asn and asked.asn_of is not None else None
    return seen.Source(ip=str(address), asn=asn)


def _peer(facts: Facts) -> seen.Peer:
    certificate, principal = facts.peer.certificate, facts.peer.principal
    spiffe_id = principal if principal.startswith(_SPIFFE) else None
    return seen.Peer(
        spiffe_id=spiffe_id,
        thumbprint=None if isinstance(certificate, Reason) else _text(certificate),
        trust_domain=None if spiffe_id is None else spiffe_id.removeprefix(_SPIFFE).partition("/")[0],
    )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(token: VerifiedToken) -> seen.Token:
    claims, mandate = token.claims, _only(token)
    return seen.Token(
        sub=token.subject,
        client_id=token.client_id,
        iss=token.id.issuer,
        aud=token.audience,
        id=token.public_id,
        scope=sorted(token.scope),
        txn=token.txn,
        auth_time=None if token.auth_time_ms is None else _instant(token.auth_time_ms),
        acr=_of(claims, "acr", _is_text),
        amr=_of(claims, "amr", _is_texts),
        sid=_of(claims, "sid", _is_text),
        act=_of(claims, "act", _is_object),
        max_amount=None if mandate is None else mandate.max_amount,
        claims=claims,
    )


def _of(claims: Mapping[str, object], name: str, fits: Callable[[object], bool]) -> Any:  # noqa: ANN401 - a claim
    """Return a claim of the right type; any other counts as absent."""
    value = claims.get(name)
    return value if fits(value) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _only(token: VerifiedToken) -> Constraints | None:
    return token.mandates[0] if len(token.mandates) == 1 else None


def _mandate(token: VerifiedToken) -> seen.Mandate | None:
    """Return the token's one mandate; of several nobody could say which is meant."""
    found = _only(token)
    if found is None:
        return None
    return seen.Mandate(
        identifier=found.identifier,
        brand=_sorted(found.brand),
        region=_sorted(found.region),
        cidr=None if found.cidr is None else [str(network) for network in found.cidr],
        asn=None if found.asn is None else sorted(found.asn),
        max_amount=found.max_amount,
        budget=None if found.budget is None else found.budget.amount,
    )


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
