"""Did Envoy verify this very token?  Its `jwt_authn` leaves header and payload of what it verified in the metadata.

Nothing here comes from a header: dynamic metadata is written by filters alone, and reaches us only in the namespaces
that ``metadata_context_namespaces`` lists.  What it says is compared with the token at hand, member by member:

- a route that the filter does not cover, or lets pass without a token, has no metadata: refused
- a second token in another header may be the one that was verified: the claims differ, refused
- metadata has no integers: 1 and 1.0 are one number there, and one that a double cannot hold exactly is refused

Envoy knows neither our trust list nor the kinds of tokens: those are judged as for every other token, and so are the
claims.  Whose key it was is Envoy's to say; a key that must go at once has to leave Envoy's key set, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ott_extauthz.authn.compact import JoseHeader, UnverifiedToken, jose_header_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.signed_claims import SignatureCheck
from ott_extauthz.model.reason import Reason

Metadata = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoysWord:
    """Where Envoy leaves what it verified: a namespace of the metadata, and the names of payload and header in it."""

    namespace: str = "envoy.filters.http.jwt_authn"
    payload: str = "ott_payload"
    header: str = "ott_header"

    def on(self, metadata: Metadata, issuers: frozenset[str] | None) -> SignatureCheck:
        """Return what stands for the check of a signature; ``issuers`` None is any that is trusted."""

        def fault(token: UnverifiedToken, trusted: TrustedIssuer) -> Reason | None:
            if issuers is not None and trusted.issuer not in issuers:
                return Reason.TOKEN_ISSUER_UNKNOWN
            if token.header.algorithm not in trusted.algorithms:
                return Reason.TOKEN_ALGORITHM_REFUSED
            found = metadata.get(self.namespace, {})
            is_verified = _header(found.get(self.header)) == token.header and is_same(
                token.claims, found.get(self.payload)
            )
            return None if is_verified else Reason.VERIFIED_PAYLOAD_MISSING

        return fault


USUAL_PLACE: Final = EnvoysWord()


def _header(members: object) -> JoseHeader | None:
    found = jose_header_from(members) if isinstance(members, dict) else None
    return found if isinstance(found, JoseHeader) else None


def is_same(own: object, told: object) -> bool:
    """Whether JSON is what metadata tells of it; types count, and numbers are compared exactly."""
    if isinstance(own, dict):
        return (
            isinstance(told, dict)
            and own.keys() == told.keys()
            and all(is_same(value, told[name]) for name, value in own.items())
        )
    if isinstance(own, list):
        return isinstance(told, list) and len(own) == len(told) and all(map(is_same, own, told))
    if type(own) is int:
        return type(told) is float and own == told  # without rounding: Python compares the values themselves
    return type(own) is type(told) and own == told
