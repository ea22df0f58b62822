"""Did the proxy refuse this call because of its token, so that it may be made once more with another one?  Pure.

- A refusal is the proxy's when it says so twice: ``x-ott-decision-id``, and the same id in a body that names the code.
  Envoy answers such a call itself; nothing of it has reached the application, so any method may be repeated.
- An application behind the proxy could write the same.  Then it asks for the repetition, and gets one.
- TOKEN_EXPIRED is said of an old token and of a store that began anew: what was minted before is worthless.
- TOKEN_REPLAYED of a token that leaves us once means that somebody sent it before us: a proxy that retries by itself,
  or a thief.  The call is still made once more, and the owner is told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

DECISION_ID: Final = "x-ott-decision-id"
TOKEN: Final = "x-ott"
PROBLEM: Final = "application/problem+json"
LARGEST_PROBLEM: Final = 4096
REPLAYED: Final = "TOKEN_REPLAYED"
EXPIRED: Final = "TOKEN_EXPIRED"
_UNAUTHORIZED: Final = 401
_GRPC_MESSAGE: Final = re.compile(r"(TOKEN_REPLAYED|TOKEN_EXPIRED) decision_id=([\x21-\x7e]{1,128})")


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """The proxy did not let a call through, and another token may help."""

    code: str
    decision_id: str


class _Problem(msgspec.Struct):
    code: str
    decision_id: str


def may_be_refusal(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the body of a response is worth reading: small, and a problem that a decision was made about."""
    length = headers.get("content-length", "")
    return (
        status == _UNAUTHORIZED
        and DECISION_ID in headers
        and headers.get("content-type", "").partition(";")[0].strip() == PROBLEM
        and length.isdecimal()
        and int(length) <= LARGEST_PROBLEM
    )


def refusal_in_problem(headers: Mapping[str, str], body: bytes) -> TokenRefused | None:
    """Return what the proxy said of the token, or None where it said something else."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return None
    return _believed(problem.code, problem.decision_id, headers.get(DECISION_ID))


def refusal_in_grpc(message: str | None, decision_id: str | None) -> TokenRefused | None:
    """Return what the proxy said of the token in ``grpc-message``, or None where it said something else."""
    found = _GRPC_MESSAGE.fullmatch(message or "")
    return None if found is None else _believed(found[1], found[2], decision_id)


def _believed(code: str, told: str, header: str | None) -> TokenRefused | None:
    if code not in (REPLAYED, EXPIRED) or told != header:
        return None
    return TokenRefused(code, told)
