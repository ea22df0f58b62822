"""Which proofs of possession does the issuer take?  What ``issuer.dpop`` says, and the secret behind its nonces."""

from pathlib import Path

from ott_extauthz.authn.dpop import DpopVerifier
from ott_extauthz.authn.nonces import MIN_SECRET_BYTES, Nonces
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.documents.problems import Problem
from ott_extauthz.issuer.once import Once
from ott_extauthz.issuer.possession import DpopProofs
from ott_extauthz.ports import Entropy
from ott_extauthz.settings import Dpop


def dpop_proofs(settings: Dpop, *, endpoint: str, once: Once, entropy: Entropy, secret: bytes | None) -> DpopProofs:
    """Return the step of the token endpoint at ``endpoint``; without a ``secret`` its nonces are this process's own."""
    nonces = Nonces(secret=secret or entropy(MIN_SECRET_BYTES), slot_ms=settings.nonce_life)
    verifier = DpopVerifier(
        max_age_ms=settings.max_age, lead_ms=settings.lead, nonces=nonces if settings.nonce == "required" else None
    )
    return DpopProofs(verifier=verifier, once=once, endpoint=endpoint)


def nonce_secret(path: Path | None, problems: list[Problem]) -> bytes | None:
    """Return the secret in ``path``; None where there is none, or it cannot be used and ``problems`` says why."""
    if path is None:
        return None
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        problems.append(unreadable(path, error))
        return None
    if len(secret) < MIN_SECRET_BYTES:
        message = f"shorter than {MIN_SECRET_BYTES} bytes; make one with `openssl rand -hex 32`"
        problems.append(Problem(str(path), 0, 0, "", message))
    problems += readable_by_others(path)
    return secret
