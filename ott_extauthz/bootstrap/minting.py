"""What does ``mint`` sign, by hand and without the issuer?  One token, with the issuer's own key."""

import secrets
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.bootstrap.client_set import read_client_list
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.issuer_inputs import CONFIGURATION, issuer_settings
from ott_extauthz.bootstrap.rings import NobodyListens, ring_from, ring_settings
from ott_extauthz.bootstrap.sealing import sealer_of
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder, OrderError
from ott_extauthz.ports import Clock, Entropy
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.settings import Settings
from ott_extauthz.wire.issuer_peer import presented_from


async def mint_token(  # noqa: PLR0913 - each is an option of `mint`
    settings: Settings,
    *,
    audience: str,
    client_id: str,
    scope: frozenset[str],
    certificate_pem: bytes | None = None,
    subject: str | None = None,
    lifetime_ms: int | None = None,
    narrowing: Mapping[str, Any] | None = None,
    ring: str = DEFAULT_RING,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    source: str = CONFIGURATION,
) -> str:
    """Mint one token with the issuer's own key, for tests and emergencies.

    Whoever may read the key may sign anything, so ``clients.yaml`` grants nothing here.  It is asked of a named ring
    alone: whether that one signs PASETOs, for this makes a JWT, and a key is for one format.  Without ``subject`` it is
    the certificate's SPIFFE ID, else ``client_id``: as the token endpoint does it.

    Raises:
        DocumentError: no issuer is configured, it has no such ring, the ring signs PASETOs, or nobody can say whether
            it does; or a set of `issuer.encryption` cannot be used.
        KeyFileError: the keys cannot be used.
        OrderError: a token like this must not exist, or the certificate cannot be read.
    """
    issuer = issuer_settings(settings, source)
    if ring not in ring_settings(issuer):
        raise DocumentError([Problem(source, 0, 0, "issuer.rings", f"no ring {ring}")])
    if ring != DEFAULT_RING and _signs_pasetos(ring, issuer):
        told = f"the ring {ring} signs PASETOs, and this makes a JWT: a key is for one format"
        raise DocumentError([Problem(str(issuer.clients), 0, 0, "", told)])
    certificate = None if certificate_pem is None else _certificate(certificate_pem)
    order = MintOrder(
        subject=subject or (certificate and certificate.spiffe_id) or client_id,
        client_id=client_id,
        audience=audience,
        scope=scope,
        lifetime_ms=issuer.lifetime if lifetime_ms is None else lifetime_ms,
        thumbprint=None if certificate is None else certificate.sha256,
        narrowing=narrowing or {},
        ring=ring,
    )
    clock = clock or SystemClock()
    signing = ring_from(ring, ring_settings(issuer)[ring], issuer, clock=clock, listener=NobodyListens())
    seal = sealer_of(issuer).seal
    minter = Minter(issuer=issuer.url, rings={ring: signing}, clock=clock, entropy=entropy, seal=seal)
    (token,) = await minter.mint([order])
    return token


def _signs_pasetos(ring: str, issuer: Issuer) -> bool:
    problems: list[Problem] = []
    clients = read_client_list(issuer, problems)
    if clients is None:
        raise DocumentError(problems)
    return any(
        grant.ring == ring and grant.format == "paseto"
        for client in clients.values()
        for grant in client.audiences.values()
    )


def _certificate(pem: bytes) -> PresentedCertificate:
    try:
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError:
        raise OrderError("certificate: not a PEM certificate") from None
    certificate = presented_from(der)
    if certificate is None or not certificate.is_sound:
        raise OrderError("certificate: its names cannot be read, or it names more than one workload")
    return certificate
