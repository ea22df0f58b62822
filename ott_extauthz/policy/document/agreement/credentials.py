"""Do the keys of one credential go together?

- A key that says nothing about this kind of credential would look like a guard and be none.
- An empty ``bound_to`` makes a bearer token; that takes the exact words ``unbound: accept the risk``.
- A certificate alone lets in whom the route lists, so it lists somebody.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ott_extauthz.documents.located import Path
from ott_extauthz.policy.document.credential import TOKENS, FromRule
from ott_extauthz.policy.routes import CredentialKind

OF_ONE_CREDENTIAL: Final = ("bound_to", "unbound", "issuers", "verified_by", "signed_request", "certificate", "from")
"""The keys that stand beside ``credential``."""

_RISK: Final = "an unbound token works for whoever holds it; where that is meant, write `unbound: accept the risk`"
_MEANT_FOR: Final[Mapping[str, frozenset[str]]] = {
    "bound_to": TOKENS,
    "unbound": TOKENS,
    "issuers": TOKENS,
    "verified_by": TOKENS,
    "signed_request": frozenset({"signed_request"}),
    "certificate": frozenset({"certificate"}),
    "from": TOKENS | {"api_key"},
}


def credential_problems(kind: str, data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield what the keys beside ``credential: kind`` must not say together, each with its place in ``data``."""
    for name, kinds in _MEANT_FOR.items():
        if name in data and kind not in kinds:
            yield (name,), f"says nothing about credential {kind}, and so would guard nothing"
    if kind in TOKENS:
        yield from _of_a_token(data)
    if kind == "certificate" and not data.get("certificate"):
        yield ("certificate",), "required: spiffe_ids, sha256 or dns; whoever has any certificate is not a caller"
    if _cookie(data) is not None and kind != "access_token":
        yield ("from", "cookie"), "only an access token may stand in a cookie"


def _of_a_token(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    is_empty = data.get("bound_to") == []
    if is_empty and "unbound" not in data:
        yield ("bound_to",), _RISK
    if "unbound" in data and not is_empty:
        yield ("unbound",), "stands only beside `bound_to: []`; this route's tokens are bound"


def places_of(kind: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the carrier (a header, or a cookie of its name) and the scheme; none where the keys cannot be read."""
    if kind in (CredentialKind.SIGNED_REQUEST, CredentialKind.CERTIFICATE):
        yield f"the {kind.replace('_', ' ')}", ""
        return
    cookie = _cookie(data)
    if cookie is not None:
        yield f"cookie {cookie}", ""
        return
    try:
        rule = FromRule.model_validate(data.get("from", {}))
    except ValueError:
        return
    bound_to = data.get("bound_to")
    is_proven = isinstance(bound_to, list) and "dpop" in bound_to and kind in TOKENS
    header, scheme = rule.place(CredentialKind(kind), is_proven=is_proven)
    yield header, (scheme or "").lower()


def clash_of(kind: str, place: tuple[str, str], taken: Collection[tuple[str, str]]) -> str | None:
    """Say why no request could bring what stands at ``place`` beside what a combination has placed already."""
    carrier, scheme = place
    if place in taken:
        return f"stands in the same place as one above it: {' '.join(place).strip()}"
    schemes = {each for name, each in taken if name == carrier}
    if schemes and kind == "all_of":
        return f"{carrier} has one value, and one above it stands there already: no request could bring both"
    if schemes and "" in {scheme, *schemes}:
        return f"{carrier} stands here with a scheme and without one: whatever comes under the scheme would be both"
    return None


def _cookie(data: Mapping[str, Any]) -> object:
    source = data.get("from")
    return source.get("cookie") if isinstance(source, dict) else None
