"""Who signs requests to us, and with which keys?  A partner's keys are several while they rotate.

A key verifies one algorithm and no other: a public key is never taken for a shared secret (algorithm confusion).
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

MIN_SECRET_BYTES: Final = 24
"""A shared secret shorter than this can be guessed from one signed request, by whoever has seen it."""


MOST_KEYS: Final = 8
"""Keys of one partner's: each is tried until one fits, and rotation needs two."""

MOST_KEYS_OF_A_ROUTE: Final = 32
"""Keys of one form that a route may make us try; a policy that would need more names fewer partners."""

MOST_TRIED: Final = 64
"""Verifications for one request, two signatures by each of those keys; a forged request costs us as many."""


class SignatureForm(StrEnum):
    """How a partner signs a request."""

    HMAC = "hmac"  # X-Signature: sha256=…, X-Timestamp, X-Nonce
    EDDSA = "eddsa"  # X-Signature: eddsa=…, X-Timestamp, X-Nonce
    STANDARD_WEBHOOKS = "standard_webhooks"  # webhook-id, webhook-timestamp, webhook-signature
    HTTP_SIGNATURES = "http_signatures"  # Signature-Input, Signature (RFC 9421)


class KeyAlgorithm(StrEnum):
    """What a key is for, by the names of RFC 9421 §6.2."""

    HMAC_SHA256 = "hmac-sha256"
    ED25519 = "ed25519"
    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    RSA_PSS_SHA512 = "rsa-pss-sha512"


class PartnerKey(Protocol):
    """A key of a partner's; ``kid`` is its name, None where the partner's signatures name none."""

    @property
    def kid(self) -> str | None:
        """The key's name."""
        ...

    @property
    def algorithm(self) -> KeyAlgorithm:
        """The one algorithm that it verifies."""
        ...

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the partner made this signature over ``message``; in constant time where it is a secret's."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """A secret that both sides have (HMAC-SHA-256)."""

    secret: bytes = field(repr=False)
    kid: str | None = None
    algorithm: KeyAlgorithm = KeyAlgorithm.HMAC_SHA256

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Compare with what we would have signed."""
        return hmac.compare_digest(hmac.digest(self.secret, message, "sha256"), signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """One partner: its name in policies, the ``client_id`` that it calls as, and the one form in which it signs.

    ``scopes`` are those that it has on every route.
    """

    name: str
    client_id: str
    form: SignatureForm
    keys: tuple[PartnerKey, ...]
    scopes: frozenset[str] = frozenset()


Partners = Mapping[str, Partner]
"""Every partner by its name."""
