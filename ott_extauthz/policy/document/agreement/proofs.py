"""Do the scheme and the binding of a credential agree about DPoP (RFC 9449 §7)?

- A token bound to a DPoP key never works as a bearer token, and the scheme DPoP is for such tokens alone: a route that
  says one without the other could be met by no request.
- A request has one proof, and that is for one token (``ath``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ott_extauthz.documents.located import Path

_PROVEN: Final = "a token bound to a DPoP key comes under the scheme DPoP (RFC 9449 §7.2), or in a header without one"
_UNPROVEN: Final = "the scheme DPoP is for tokens that are bound to a key; add dpop to bound_to"
_ONE_PROOF: Final = "a request has one DPoP proof, for one token: no second one in all_of can be bound to dpop"


def proof_problems(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield what the keys of one credential must not say of DPoP, each with its place in ``data``."""
    source = data.get("from")
    scheme = source.get("scheme") if isinstance(source, dict) else None
    if not isinstance(scheme, str):
        return
    if _is_proven(data) and scheme.lower() != "dpop":
        yield ("from", "scheme"), _PROVEN
    if not _is_proven(data) and scheme.lower() == "dpop":
        yield ("from", "scheme"), _UNPROVEN


def second_proofs(credentials: Sequence[tuple[str, Path, Mapping[str, Any]]]) -> Iterator[tuple[Path, str]]:
    """Yield those of a route's credentials that ask for a further proof, where all of them are asked for."""
    proven = [path for _, path, data in credentials if path[:1] == ("all_of",) and _is_proven(data)]
    for path in proven[1:]:
        yield (*path, "bound_to"), _ONE_PROOF


def _is_proven(data: Mapping[str, Any]) -> bool:
    bound_to = data.get("bound_to")
    return isinstance(bound_to, list) and "dpop" in bound_to
