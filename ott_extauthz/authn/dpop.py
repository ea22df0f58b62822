"""Does this proof show the key it names, for this very request (RFC 9449 §4.3)?

The order, each step refusing on its own:
  1. one header value, one compact JWS of bounded size, strict JSON throughout
  2. ``typ``: no other kind of JWT passes for a proof
  3. the algorithm is on the list, the key in the header public, sound, and one for that algorithm
  4. the signature, by that key
  5. only now the claims: method, target, times, ``ath``
  6. the nonce, last: whoever is told to come again with one has a proof that is good otherwise

Whether the proof was used before is the caller's to ask: a ``jti`` is good once for its key.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from joserfc.jwk import thumbprint

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.compact import header_members
from ott_extauthz.authn.fault import ClaimsError, instant_ms
from ott_extauthz.authn.jwks import KeySetError, key_from
from ott_extauthz.authn.keys import VerificationKey
from ott_extauthz.authn.nonces import Nonces
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.authn.target_uri import normal_target
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import MAX_TOKEN_BYTES

DPOP_ALGORITHMS: Final = ("EdDSA", "Ed25519", "ES256", "PS256", "RS256")
PROOF_TYPE: Final = "dpop+jwt"
MAX_JTI: Final = 256

_PARTS: Final = 3
# What a thumbprint is made of (RFC 7638 §3.2), and how many bytes each member has at least and at most: two spellings
# would be two thumbprints of one key, and an exponent of thousands of bits costs us more than its sender.
_KEY_MEMBERS: Final = {
    "EC": {"x": (32, 32), "y": (32, 32)},
    "OKP": {"x": (32, 32)},
    "RSA": {"n": (256, 1024), "e": (1, 8)},
}


class ProofFault(StrEnum):
    """Why a proof is refused."""

    MALFORMED = "malformed"
    TYPE = "typ"
    ALGORITHM = "alg"
    KEY = "jwk"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    METHOD = "htm"
    TARGET = "htu"
    TIME = "iat"
    TOKEN = "ath"
    NONCE = "nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopProof:
    """A proof that holds, all but whether it is the first of its ``jti``."""

    jkt: Thumbprint = field(repr=False)
    jti: str = field(repr=False)
    issued_at_ms: int
    acceptable_until_ms: int
    nonce: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopVerifier:
    """Verifies proofs; a proof is good from ``lead_ms`` before its ``iat`` until ``max_age_ms`` after it.

    Without ``nonces`` none is asked for, and one that is sent says nothing.
    """

    max_age_ms: int = 60_000
    lead_ms: int = 5_000
    algorithms: frozenset[str] = frozenset(DPOP_ALGORITHMS)
    nonces: Nonces | None = None

    def verify(
        self, values: Sequence[str], *, method: str, target: str, now_ms: int, token: str | None = None
    ) -> DpopProof | ProofFault:
        """Return the proof that ``values``, every value of the header, hold for a request of ``target``.

        With ``token`` the proof must be for that access token (``ath``); without it ``ath`` is not looked at.
        """
        taken = _taken_apart(values)
        if isinstance(taken, ProofFault):
            return taken
        header, claims, signing_input, signature = taken
        proven = self._proven(header, signing_input, signature)
        if isinstance(proven, ProofFault):
            return proven
        try:
            fault = _request_fault(claims, method, target, token) or self._time_fault(claims, now_ms)
            return fault or self._proof(proven, claims, now_ms)
        except ClaimsError:
            return ProofFault.CLAIMS

    def _proven(self, header: dict[str, Any], signing_input: bytes, signature: bytes) -> Thumbprint | ProofFault:
        if _type(header) != PROOF_TYPE:
            return ProofFault.TYPE
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            return ProofFault.ALGORITHM
        found = _key_in(header.get("jwk"))
        if found is None or algorithm not in found[0].algorithms:
            return ProofFault.KEY
        key, jkt = found
        return jkt if key.verifies(algorithm, signing_input, signature) else ProofFault.SIGNATURE

    def _time_fault(self, claims: dict[str, Any], now_ms: int) -> ProofFault | None:
        if not now_ms - self.max_age_ms <= instant_ms(claims, "iat") <= now_ms + self.lead_ms:
            return ProofFault.TIME
        # Not asked for by RFC 9449, but what a JWT says of its own life holds (RFC 7519 §4.1.4, §4.1.5).
        if "exp" in claims and instant_ms(claims, "exp") <= now_ms:
            return ProofFault.TIME
        if "nbf" in claims and instant_ms(claims, "nbf") > now_ms + self.lead_ms:
            return ProofFault.TIME
        return None

    def _proof(self, jkt: Thumbprint, claims: dict[str, Any], now_ms: int) -> DpopProof | ProofFault:
        jti, nonce, issued_at_ms = claims.get("jti"), claims.get("nonce"), instant_ms(claims, "iat")
        if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not isinstance(nonce, str | None):
            return ProofFault.CLAIMS
        if self.nonces is not None and (nonce is None or not self.nonces.accepts(nonce, now_ms)):
            return ProofFault.NONCE
        return DpopProof(
            jkt=jkt,
            jti=jti,
            issued_at_ms=issued_at_ms,
            acceptable_until_ms=issued_at_ms + self.max_age_ms,
            nonce=nonce,
        )


def _taken_apart(values: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes] | ProofFault:
    # A comma is two header lines that a proxy joined (RFC 9449 §4.3, 1.: not more than one).
    if len(values) != 1 or len(values[0]) > MAX_TOKEN_BYTES or not values[0].isascii():
        return ProofFault.MALFORMED
    parts = values[0].split(".")
    if len(parts) != _PARTS or not all(parts):
        return ProofFault.MALFORMED
    header, payload, signature = header_members(parts[0]), decoded(parts[1]), decoded(parts[2])
    if isinstance(header, Reason) or payload is None or signature is None:
        return ProofFault.MALFORMED
    try:
        claims = object_from(payload)
    except NotStrictJsonError:
        return ProofFault.MALFORMED
    return header, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature


def _type(header: dict[str, Any]) -> str | None:
    value = header.get("typ")
    return value.lower().removeprefix("application/") if isinstance(value, str) else None


def _key_in(jwk: object) -> tuple[VerificationKey, Thumbprint] | None:
    """Return the key and its RFC 7638 thumbprint; None for a key that is not public, sound and in its one spelling."""
    sizes = _KEY_MEMBERS.get(str(jwk.get("kty"))) if isinstance(jwk, dict) else None
    if not isinstance(jwk, dict) or sizes is None:
        return None
    if not all(_has_size(jwk.get(name), *size) for name, size in sizes.items()):
        return None
    try:
        key = key_from(jwk)
    except KeySetError:
        return None
    named = ("kty", *sizes) if jwk["kty"] == "RSA" else ("kty", "crv", *sizes)
    digest = decoded(thumbprint({name: jwk[name] for name in named}))
    return None if digest is None else (key, Thumbprint(digest))


def _has_size(member: object, least: int, most: int) -> bool:
    raw = decoded(member) if isinstance(member, str) else None
    if raw is None or not least <= len(raw) <= most:
        return False
    return least == most or raw[0] != 0  # a number without leading zeros (RFC 7518 §2, Base64urlUInt)


def _request_fault(claims: dict[str, Any], method: str, target: str, token: str | None) -> ProofFault | None:
    if claims.get("htm") != method:
        return ProofFault.METHOD
    htu, meant = claims.get("htu"), normal_target(target)
    if meant is None or not isinstance(htu, str) or normal_target(htu) != meant:
        return ProofFault.TARGET
    if token is not None and not _is_of(claims.get("ath"), token):
        return ProofFault.TOKEN
    return None


def _is_of(ath: object, token: str) -> bool:
    if not isinstance(ath, str) or not (ath.isascii() and token.isascii()):
        return False
    return hmac.compare_digest(ath, encoded(hashlib.sha256(token.encode("ascii")).digest()))
