"""What narrows this token?  Mandates in ``authorization_details`` (RFC 9396), ``region``, the one request it is for.

- What is malformed raises ClaimsError; what is well-formed and not known here is named as a restriction, which is a
  refusal.  Nothing is ever left out: the token would come out wider than it was signed.
- Unknown are a detail of another type, and every member that is not listed here: the common ones of RFC 9396 §2.2
  (``locations``, ``actions``, ``datatypes``, ``privileges``) too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.fault import ClaimsError, instant_ms
from ott_extauthz.model.constraint_forms import (
    count_from,
    names_from,
    networks_from,
    numbers_from,
    rate_from,
    windows_from,
)
from ott_extauthz.model.mandate import Budget, Constraints, RequestBinding
from ott_extauthz.model.money import money_from

DETAILS: Final = "authorization_details"
MANDATE: Final = "mandate"
NARROWING: Final = (DETAILS, "region", "htm", "htp", "digest")
MOST_DETAILS: Final = 8

_KNOWN: Final = frozenset(
    ("type", "identifier", "brand", "region", "cidr", "asn", "time_of_day", "rate_limit", "max_amount", "budget")
)
_BUDGET: Final = frozenset(("amount", "count", "since", "until"))
_IDENTIFIER: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Z-]{1,64}", re.ASCII)  # as policy.target: RFC 9110 token, upper case
_PATH: Final = re.compile(r"/[!\"$->@-~]{0,4095}", re.ASCII)  # visible ASCII without space, `#` and `?`
_SHA256_BYTES: Final = 32
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Narrowing:
    """All that narrows a token; ``restrictions`` names what this version does not know."""

    restrictions: tuple[str, ...] = ()
    mandates: tuple[Constraints, ...] = ()
    binding: RequestBinding | None = None


WIDE: Final = Narrowing()


def narrowing_from(claims: Mapping[str, Any], issued_at_ms: int) -> Narrowing:
    """Return what narrows the token.

    Raises:
        ClaimsError: naming the claim that is malformed.
    """
    if claims.keys().isdisjoint(NARROWING):
        return WIDE
    mandates: list[Constraints] = []
    restrictions: list[str] = []
    for index, detail in enumerate(_details(claims)):
        origin = f"{DETAILS}[{index}]"
        if detail["type"] != MANDATE or not detail.keys() <= _KNOWN:
            restrictions.append(origin)
        else:
            mandates.append(_mandate(detail, origin, issued_at_ms))
    identifiers = [mandate.identifier for mandate in mandates if mandate.identifier is not None]
    if len(set(identifiers)) != len(identifiers):  # two would count on one counter
        raise ClaimsError(DETAILS)
    if "region" in claims:
        mandates.append(Constraints(origin="claim", region=_read("region", names_from, claims["region"])))
    return Narrowing(tuple(restrictions), tuple(mandates), _binding(claims))


def _details(claims: Mapping[str, Any]) -> list[dict[str, Any]]:
    if DETAILS not in claims:
        return []
    details = claims[DETAILS]
    if not isinstance(details, list) or not 1 <= len(details) <= MOST_DETAILS:
        raise ClaimsError(DETAILS)
    if not all(isinstance(detail, dict) and isinstance(detail.get("type"), str) for detail in details):
        raise ClaimsError(DETAILS)
    return details


def _mandate(detail: dict[str, Any], origin: str, issued_at_ms: int) -> Constraints:
    def of(name: str, read: Callable[[object], T]) -> T | None:
        return _read(DETAILS, read, detail[name]) if name in detail else None

    identifier = detail.get("identifier")
    if "identifier" in detail and not (isinstance(identifier, str) and _IDENTIFIER.fullmatch(identifier)):
        raise ClaimsError(DETAILS)
    counts = "rate_limit" in detail or "budget" in detail
    if (counts and identifier is None) or detail.keys() <= {"type", "identifier"}:
        raise ClaimsError(DETAILS)  # nothing to count under, or nothing restricted
    return Constraints(
        origin=origin,
        identifier=identifier,
        brand=of("brand", names_from),
        region=of("region", names_from),
        cidr=of("cidr", networks_from),
        asn=of("asn", numbers_from),
        time_of_day=of("time_of_day", windows_from),
        rate_limit=of("rate_limit", rate_from),
        max_amount=of("max_amount", money_from),
        budget=_budget(detail["budget"], str(identifier), issued_at_ms) if "budget" in detail else None,
    )


def _budget(value: Any, identifier: str, issued_at_ms: int) -> Budget:  # noqa: ANN401 - JSON
    if not isinstance(value, dict) or not value.keys() <= _BUDGET or value.keys() <= {"since", "until"}:
        raise ClaimsError(DETAILS)
    since, until = instant_ms(value, "since"), instant_ms(value, "until")
    # A store is asked whether it is whole since then: a later `since` than the first use would hide what it lost.
    if not since < until or since > issued_at_ms:
        raise ClaimsError(DETAILS)
    return Budget(
        identifier=identifier,
        since_ms=since,
        until_ms=until,
        amount=_read(DETAILS, money_from, value["amount"]) if "amount" in value else None,
        count=_read(DETAILS, count_from, value["count"]) if "count" in value else None,
    )


def _binding(claims: Mapping[str, Any]) -> RequestBinding | None:
    if claims.keys().isdisjoint(("htm", "htp", "digest")):
        return None
    return RequestBinding(
        method=_fitting(claims, "htm", _METHOD),
        path=_fitting(claims, "htp", _PATH),
        digest=_digest(claims["digest"]) if "digest" in claims else None,
    )


def _fitting(claims: Mapping[str, Any], name: str, grammar: re.Pattern[str]) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not grammar.fullmatch(value):
        raise ClaimsError(name)
    return value


def _digest(value: object) -> bytes:
    raw = decoded(value) if isinstance(value, str) else None
    if raw is None or len(raw) != _SHA256_BYTES:
        raise ClaimsError("digest")
    return raw


def _read(claim: str, read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except ValueError:
        raise ClaimsError(claim) from None
