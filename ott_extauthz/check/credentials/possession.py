"""Is the token this caller's?  Its certificate and workload, and its DPoP key by a proof (RFC 9449 §4.3, §7).

- Certificate and workload are looked at first: they cost nothing (:mod:`ott_extauthz.authn.binding`).
- A token with ``cnf.jkt`` needs a proof on every route, whatever the route asks for: it never works as a bearer token
  (§7.2), so it stands under the scheme DPoP, or where there is no scheme at all.
- A token without it is refused where the route is bound to DPoP, or where it comes under the scheme DPoP.
- ``ath`` is over the text as it was presented, the sealed one where it is sealed: that is what the client holds.
- ``htu`` is compared with Envoy's own host and path.  The scheme is configured, for a client names ``:scheme`` itself,
  and behind a proxy that ends TLS it is not the client's; no header is ever asked.
- A ``jti`` is good once for its key, on all routes and servers together.  A one-time token needs no such memory: by
  ``ath`` its proof is good for that token alone, and the token is spent.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.binding import binding_fault
from ott_extauthz.authn.dpop import DpopProof, DpopVerifier, ProofFault
from ott_extauthz.model.facts import Facts, Thumbprint
from ott_extauthz.model.framing import framed
from ott_extauthz.model.once import Once, OnceKind
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Asks, BoundTo

PROOF_HEADER: Final = "dpop"
NONCE_HEADER: Final = "dpop-nonce"

_SCHEME: Final = "dpop"
_PURPOSE: Final = "dpop proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What possession leaves behind, in the words of ``Verified``; nothing where there was no proof to show."""

    carriers: tuple[str, ...] = ()
    response_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    once: tuple[Once, ...] = ()


_NOTHING: Final = Shown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Possession:
    """Judges whose a token is; ``scheme`` is the one that clients know us by, None the one that Envoy names."""

    verifier: DpopVerifier = field(default_factory=DpopVerifier)
    scheme: str | None = "https"

    def shown(
        self, token: VerifiedToken, presented: str, *, asks: Asks, facts: Facts, now_ms: int
    ) -> Shown | Rejection:
        """Return what the caller shows for ``token``, which was ``presented`` as this very text, or what refuses."""
        bound_to = token.confirmation.jkt
        fault = _scheme_fault(asks, bound_to) or binding_fault(
            token,
            facts.peer,
            needs_certificate=BoundTo.CERTIFICATE in asks.bound_to,
            needs_workload=BoundTo.WORKLOAD in asks.bound_to,
        )
        if fault is not None:
            return Rejection(fault)
        if bound_to is None:
            return _NOTHING
        proof = self._proof(presented, bound_to, facts, now_ms)
        if isinstance(proof, Rejection):
            return proof
        return Shown(
            carriers=() if asks.keeps_credential else (PROOF_HEADER,),  # whoever judges the token anew needs it, too
            response_headers=self._next_nonce(proof, now_ms),
            once=() if token.is_for_one_use else (self._once(proof, bound_to),),
        )

    def _proof(self, presented: str, jkt: Thumbprint, facts: Facts, now_ms: int) -> DpopProof | Rejection:
        values = facts.headers.get(PROOF_HEADER, ())
        if not values:
            return Rejection(Reason.DPOP_PROOF_MISSING)
        target = f"{self.scheme or facts.scheme}://{facts.host}{facts.path}"
        proof = self.verifier.verify(values, method=facts.method, target=target, now_ms=now_ms, token=presented)
        if isinstance(proof, ProofFault):
            return self._refusal(proof, now_ms)
        return proof if hmac.compare_digest(proof.jkt, jkt) else Rejection(Reason.DPOP_KEY_MISMATCH)

    def _refusal(self, fault: ProofFault, now_ms: int) -> Rejection:
        nonces = self.verifier.nonces
        if fault is ProofFault.NONCE and nonces is not None:
            return Rejection(Reason.DPOP_NONCE_REQUIRED, dpop_nonce=nonces.current(now_ms))
        return Rejection(Reason.DPOP_PROOF_INVALID, detail=fault)

    def _next_nonce(self, proof: DpopProof, now_ms: int) -> tuple[tuple[str, str], ...]:
        """Return the next nonce for a client whose own runs out, so that it is refused once and not every minute."""
        current = None if self.verifier.nonces is None else self.verifier.nonces.current(now_ms)
        return () if current is None or current == proof.nonce else ((NONCE_HEADER, current),)

    def _once(self, proof: DpopProof, jkt: Thumbprint) -> Once:
        return Once(
            kind=OnceKind.PROOF,
            key=hashlib.sha256(framed(_PURPOSE, jkt.hex(), proof.jti)).digest(),
            acceptable_from_ms=proof.issued_at_ms - self.verifier.lead_ms,
            acceptable_until_ms=proof.acceptable_until_ms,
        )


def _scheme_fault(asks: Asks, jkt: Thumbprint | None) -> Reason | None:
    is_dpop = asks.scheme is not None and asks.scheme.lower() == _SCHEME
    if jkt is None:
        return Reason.TOKEN_UNBOUND if is_dpop or BoundTo.DPOP in asks.bound_to else None
    return None if is_dpop or asks.scheme is None else Reason.CREDENTIAL_SCHEME_REFUSED
