"""Which proofs of possession does the Check server take?  What ``dpop`` says, and the secret behind nonces."""

from pathlib import Path

from ott_extauthz.authn.dpop import DpopVerifier
from ott_extauthz.authn.nonces import MIN_SECRET_BYTES, Nonces
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.check.credentials.possession import Possession
from ott_extauthz.documents.problems import Problem
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.proofs import CheckDpop


def possession_from(settings: CheckDpop, secret: bytes | None) -> Possession:
    """Return what judges proofs; ``secret`` is there where ``settings`` ask for nonces."""
    nonces = None if secret is None else Nonces(secret=secret, slot_ms=settings.nonce_life)
    return Possession(
        verifier=DpopVerifier(max_age_ms=settings.max_age, lead_ms=settings.lead, nonces=nonces),
        scheme=None if settings.scheme == "request" else settings.scheme,
    )


def nonce_secret(path: Path | None, problems: list[Problem]) -> bytes | None:
    """Return the secret in ``path``; None where there is none, or it cannot be used and ``problems`` says why."""
    if path is None:
        return None
    try:
        secret = bounded(path).strip()
    except OSError as error:
        problems.append(unreadable(path, error))
        return None
    if len(secret) < MIN_SECRET_BYTES:
        message = f"shorter than {MIN_SECRET_BYTES} bytes; make one with `openssl rand -hex 32`"
        problems.append(Problem(str(path), 0, 0, "", message))
    problems += readable_by_others(path)
    return secret
