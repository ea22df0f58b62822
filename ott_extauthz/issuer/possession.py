"""Which DPoP key will the token be bound to?  Proofs at the token endpoint (RFC 9449 §5, §8).

1. no proof: nothing to bind to, unless the client is one that must send a proof
2. the proof holds for this request, with a nonce of ours where nonces are required
3. it was never used before
"""

from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.dpop import DpopProof, DpopVerifier, ProofFault
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.once import FirstUse, Once
from ott_extauthz.issuer.request import Requester, TokenRequest

_FENCE_MS: Final = 2000  # about how long a list that forgot refuses what it cannot vouch for
_DESCRIPTIONS: Final = {
    ProofFault.MALFORMED: "exactly one DPoP header with exactly one compact JWS",
    ProofFault.TYPE: "the proof's typ is not dpop+jwt",
    ProofFault.ALGORITHM: "the proof's algorithm is not among dpop_signing_alg_values_supported",
    ProofFault.KEY: "the proof's jwk is not a public key for its algorithm",
    ProofFault.SIGNATURE: "the proof's signature does not hold",
    ProofFault.CLAIMS: "the proof's claims are malformed",
    ProofFault.METHOD: "htm is not the method of this request",
    ProofFault.TARGET: "htu is not the URL of this endpoint",
    ProofFault.TIME: "iat is too old or in the future",
    ProofFault.TOKEN: "ath is not the hash of the token",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A client and what its token will be bound to; ``dpop_nonce`` is the next nonce, where the sent one runs out."""

    requester: Requester
    dpop_nonce: str | None = field(default=None, repr=False)


class Possession(Protocol):
    """Says which key of its own an authenticated client holds."""

    async def bind(self, request: TokenRequest, requester: Requester) -> Bound | OAuthError:
        """Return the client with the key it has proven, if it has, or the refusal."""
        ...


@dataclass(frozen=True, slots=True)
class NoProofs:
    """Takes no proofs; one that is sent is refused, for its sender would believe the token bound to its key."""

    async def bind(self, request: TokenRequest, requester: Requester) -> Bound | OAuthError:
        """Return the client as it is."""
        if request.dpop or requester.client.needs_dpop:
            return _invalid("this server takes no DPoP proofs")
        return Bound(requester)


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopProofs:
    """Binds to DPoP keys; ``endpoint`` is the URL that clients know this endpoint by."""

    verifier: DpopVerifier
    once: Once
    endpoint: str

    async def bind(self, request: TokenRequest, requester: Requester) -> Bound | OAuthError:
        """Return the client, bound to the key of its proof."""
        if not request.dpop:
            return _invalid("this client must send a DPoP proof") if requester.client.needs_dpop else Bound(requester)
        now_ms = request.now_ms
        proof = self.verifier.verify(request.dpop, method="POST", target=self.endpoint, now_ms=now_ms)
        if isinstance(proof, ProofFault):
            return self._refusal(proof, now_ms)
        first = await self.once.spend(
            *("dpop", encoded(proof.jkt), proof.jti),  # scoped to the key: nobody uses up another's jti
            issued_at_ms=proof.issued_at_ms - self.verifier.lead_ms,  # never later than the first use, as Once asks
            expires_at_ms=proof.acceptable_until_ms,
            now_ms=now_ms,
        )
        next_nonce = self._next_nonce(proof, now_ms)
        if first is not FirstUse.YES:
            return replace(self._not_first(first), dpop_nonce=next_nonce)
        return Bound(replace(requester, jkt=proof.jkt), next_nonce)

    def _not_first(self, first: FirstUse) -> OAuthError:
        if first in (FirstUse.USED_BEFORE, FirstUse.TOO_LATE):
            return _USED
        return replace(_UNSURE, retry_after_ms=self.verifier.lead_ms + _FENCE_MS)

    def _refusal(self, fault: ProofFault, now_ms: int) -> OAuthError:
        nonces = self.verifier.nonces
        if fault is ProofFault.NONCE and nonces is not None:
            description = "the proof needs the nonce of this answer's DPoP-Nonce header"
            return OAuthError(OAuthErrorCode.USE_DPOP_NONCE, description, dpop_nonce=nonces.current(now_ms))
        return _invalid(_DESCRIPTIONS[fault])

    def _next_nonce(self, proof: DpopProof, now_ms: int) -> str | None:
        current = None if self.verifier.nonces is None else self.verifier.nonces.current(now_ms)
        return None if current == proof.nonce else current


def _invalid(description: str) -> OAuthError:
    return OAuthError(OAuthErrorCode.INVALID_DPOP_PROOF, description)


_USED: Final = _invalid("the proof was used before: make one for each request")
_UNSURE: Final = OAuthError(
    OAuthErrorCode.TEMPORARILY_UNAVAILABLE,
    "nobody can say now whether the proof was used before: make a new one",
    503,
)
