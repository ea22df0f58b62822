"""Which proofs of possession does the issuer take?  What ``issuer.dpop`` says."""

from ott_extauthz.authn.dpop import DpopVerifier
from ott_extauthz.authn.nonces import MIN_SECRET_BYTES, Nonces
from ott_extauthz.issuer.once import Once
from ott_extauthz.issuer.possession import DpopProofs
from ott_extauthz.ports import Entropy
from ott_extauthz.sections.proofs import Dpop


def dpop_proofs(settings: Dpop, *, endpoint: str, once: Once, entropy: Entropy, secret: bytes | None) -> DpopProofs:
    """Return the step of the token endpoint at ``endpoint``; without a ``secret`` its nonces are this process's own."""
    nonces = Nonces(secret=secret or entropy(MIN_SECRET_BYTES), slot_ms=settings.nonce_life)
    verifier = DpopVerifier(
        max_age_ms=settings.max_age, lead_ms=settings.lead, nonces=nonces if settings.nonce == "required" else None
    )
    return DpopProofs(verifier=verifier, once=once, endpoint=endpoint)
