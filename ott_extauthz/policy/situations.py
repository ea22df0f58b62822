"""What does a condition get to see?  One request with its token, in the words of the policy.

What has two readings is UNCLEAR, so that reading it, or asking whether it is there, is an error and never a guess:

- a header that came twice, or beside a twin that is spelled with ``_``
- a path, or a parameter of it, that a server may read otherwise (``frozen;x``, ``%2566rozen``)
- a query that is not UTF-8, or with ``;``, at which some servers split and others throw the pair away
- what two mandates have

What costs time is worked out only where a condition names it.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from ott_extauthz.model.addresses import Network, address_from
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.asked import Asked, Outgoing
from ott_extauthz.policy.expressions import situation as seen
from ott_extauthz.policy.expressions.situation import UNCLEAR, Unclear
from ott_extauthz.policy.readings import decoded
from ott_extauthz.policy.target import CanonicalTarget, other_readings

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPIFFE: Final = "spiffe://"
_TWO_READINGS: Final = re.compile(r";|%(?![0-9A-Fa-f]{2})")


def situation_of(
    asked: Outgoing, *, route: str, parameters: Mapping[str, int], names: frozenset[str], body: seen.JsonBody | None
) -> seen.Situation:
    """Return what conditions that read ``names`` see; ``parameters`` are those of the route's path, by segment."""
    facts, target = asked.facts, asked.target
    token = asked.token if isinstance(asked, Asked) else None
    request = seen.Request(
        method=facts.method,
        host=target.host,
        path=UNCLEAR if other_readings(target) else target.path,
        time=_instant(asked.now_ms),
        path_params={name: _parameter(target, place) for name, place in parameters.items()},
        query=_query(target.query) if "request.query" in names else {},
        headers=_headers(facts) if "request.headers" in names else {},
        source=_source(asked, needs_asn="request.source.asn" in names),
        json=body,
    )
    return seen.Situation(
        request=request,
        mesh=seen.Mesh(policy_revision=asked.policy_revision, route=route, region=asked.region),
        token=None if token is None else _token(token),
        peer=_peer(facts),
        mandate=None if token is None else _mandate(token),
    )


def _instant(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _parameter(target: CanonicalTarget, place: int) -> str | Unclear:
    """Return a path parameter as every server decodes it; one that is not UTF-8 was refused with its path."""
    readings = {decoded(segments[place]) for segments in (target.segments, *other_readings(target))}
    return UNCLEAR if len(readings) > 1 else readings.pop().encode("latin-1").decode()


def _headers(facts: Facts) -> dict[str, str | Unclear]:
    found = {name: values[0] if len(values) == 1 else UNCLEAR for name, values in facts.headers.items()}
    return found | {name.replace("_", "-"): UNCLEAR for name in facts.headers if "_" in name}


def _query(text: str) -> dict[str, list[str]] | Unclear:
    """Read a form-encoded query (WHATWG URL §5.1)."""
    if _TWO_READINGS.search(text):
        return UNCLEAR
    found: dict[str, list[str]] = {}
    try:
        for part in filter(None, text.split("&")):
            name, _, value = part.partition("=")
            found.setdefault(_plain(name), []).append(_plain(value))
    except UnicodeDecodeError:
        return UNCLEAR
    return found


def _plain(text: str) -> str:
    return decoded(text.replace("+", " ")).encode("latin-1").decode()


def _source(asked: Outgoing, *, needs_asn: bool) -> seen.Source:
    address = address_from(asked.facts.peer.address)
    if address is None:
        return seen.Source()
    asn = asked.asn_of(address) if needs_asn and asked.asn_of is not None else None
    return seen.Source(ip=str(address), asn=asn)


def _peer(facts: Facts) -> seen.Peer:
    certificate, principal = facts.peer.certificate, facts.peer.proven_principal
    spiffe_id = principal if principal.startswith(_SPIFFE) else None
    return seen.Peer(
        spiffe_id=spiffe_id,
        thumbprint=None if isinstance(certificate, Reason) else _text(certificate),
        trust_domain=None if spiffe_id is None else spiffe_id.removeprefix(_SPIFFE).partition("/")[0],
    )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(token: VerifiedToken) -> seen.Token:
    claims: Mapping[str, Any] = token.claims  # of another type than it should be, one is an error to whoever reads it
    return seen.Token(
        sub=token.subject,
        client_id=token.client_id,
        iss=token.id.issuer,
        aud=token.audience,
        id=token.public_id,
        scope=sorted(token.scope),
        txn=token.txn,
        auth_time=None if token.auth_time_ms is None else _instant(token.auth_time_ms),
        acr=claims.get("acr"),
        amr=claims.get("amr"),
        sid=claims.get("sid"),
        act=claims.get("act"),
        max_amount=_one(token, lambda mandate: mandate.max_amount),
        claims=claims,
    )


def _mandate(token: VerifiedToken) -> seen.Mandate | None:
    if not token.mandates:
        return None
    return seen.Mandate(
        identifier=_one(token, lambda mandate: mandate.identifier),
        brand=_one(token, lambda mandate: _sorted(mandate.brand)),
        region=_one(token, lambda mandate: _sorted(mandate.region)),
        cidr=_one(token, lambda mandate: _texts(mandate.cidr)),
        asn=_one(token, lambda mandate: _sorted(mandate.asn)),
        max_amount=_one(token, lambda mandate: mandate.max_amount),
        budget=_one(token, lambda mandate: None if mandate.budget is None else mandate.budget.amount),
    )


def _one(token: VerifiedToken, of: Callable[[Constraints], T | None]) -> T | Unclear | None:
    """Return what one of the token's mandates has; where several have it, nobody could say which is meant."""
    found = [value for value in map(of, token.mandates) if value is not None]
    return UNCLEAR if len(found) > 1 else found[0] if found else None


def _texts(networks: tuple[Network, ...] | None) -> list[str] | None:
    return None if networks is None else [str(network) for network in networks]


def _sorted(values: frozenset[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(values)
