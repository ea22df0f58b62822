"""What is wrong with what narrows this token?  The part of :mod:`inspect` about mandates and the one request.

A second opinion: it shares no code with what the Check server reads mandates by, and says less.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_MEMBERS: Final = ("brand", "region", "cidr", "asn", "time_of_day", "rate_limit", "max_amount", "budget")
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def narrowing_faults(claims: Mapping[str, Any]) -> Iterator[str]:
    """Say what keeps a Check server from enforcing these claims."""
    if "authorization_details" in claims:
        yield from _details_faults(claims["authorization_details"])
    method, path, digest = (claims.get(name) for name in ("htm", "htp", "digest"))
    if "htm" in claims and not (isinstance(method, str) and method and method == method.upper()):
        yield "htm is not a method in capitals"
    if "htp" in claims and not (isinstance(path, str) and path.startswith("/")):
        yield "htp is not a path or a path template"
    if "digest" in claims and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        yield "digest is not a SHA-256 in base64url"


def _details_faults(details: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if not isinstance(details, list) or not details:
        yield "authorization_details is not a list with an object in it"
        return
    for index, detail in enumerate(details):
        place = f"authorization_details[{index}]"
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            yield f"{place} is not an object with a type"
        elif detail["type"] != "mandate":
            yield f"{place}: its type is not `mandate`, so the token is refused"
        else:
            yield from (f"{place}: {fault}" for fault in _mandate_faults(detail))


def _mandate_faults(mandate: Mapping[str, Any]) -> Iterator[str]:
    unknown = len(mandate.keys() - {"type", "identifier", *_MEMBERS})
    if unknown:
        yield f"{unknown} constraints that this version does not know, so the token is refused"
    if not any(name in mandate for name in _MEMBERS):
        yield "restricts nothing"
    if "identifier" not in mandate and ("budget" in mandate or "rate_limit" in mandate):
        yield "budget and rate_limit count under an identifier, and it has none"
