"""Which tokens would no honest issuer make?  Claims of our choice, signed with the issuer's own key, or with another.

What the issuer refuses to sign (times that are off, another server's region) must be refused by the Check server too:
its keys could be used by somebody else, or its clock be wrong.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.demo.stage import CLIENT_ID
from ott_extauthz.ports import Clock, Signer
from ott_extauthz.stores.signing import Ed25519Signer

_TYPE: Final = "ott+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Makes tokens for the demo's wallet, bound to the certificate whose ``x5t#S256`` is given."""

    clock: Clock
    x5t_s256: str

    def claims(self, *, age: float = 0.0, life: float = 30.0, **changes: object) -> dict[str, Any]:
        """Return a good token's claims, issued ``age`` seconds ago for ``life`` seconds, with ``changes``."""
        issued = self.clock.now_ms() / 1000 - age
        good = {
            "iss": "https://issuer.demo",
            "sub": "spiffe://bank.demo/rgs",
            "client_id": CLIENT_ID,
            "aud": "wallet.api",
            "jti": encoded(secrets.token_bytes(16)),
            "iat": issued,
            "exp": issued + life,
            "cnf": {"x5t#S256": self.x5t_s256},
            "scope": "wallet:debit",
            "txn": encoded(secrets.token_bytes(16)),
        }
        return good | changes

    async def token(self, signer: Signer, *, age: float = 0.0, life: float = 30.0, **changes: object) -> str:
        """Sign such claims properly."""
        header = {"alg": signer.algorithm, "kid": signer.kid, "typ": _TYPE}
        message = unsigned(header, self.claims(age=age, life=life, **changes))
        (signature,) = await signer.sign([message.encode()])
        return f"{message}.{encoded(signature)}"


@dataclass(frozen=True, slots=True)
class Parts:
    """A compact JWS taken apart."""

    header: str
    payload: str
    signature: str = field(repr=False)

    @classmethod
    def of(cls, token: str) -> "Parts":
        """Take a token apart."""
        return cls(*token.split("."))

    def __str__(self) -> str:
        return f"{self.header}.{self.payload}.{self.signature}"


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return what a signature is made over (RFC 7515 §5.1)."""
    return f"{encoded(msgspec.json.encode(header))}.{encoded(msgspec.json.encode(claims))}"


def _members(part: str) -> dict[str, Any]:
    raw = decoded(part)
    if raw is None:
        raise ValueError("no part of a compact JWS")
    return msgspec.json.decode(raw, type=dict[str, Any])


def with_claims(token: str, **changes: object) -> str:
    """Change claims and keep the signature."""
    parts = Parts.of(token)
    claims = _members(parts.payload) | changes
    return str(Parts(parts.header, encoded(msgspec.json.encode(claims)), parts.signature))


def under_shared_secret(token: str, public_key: bytes) -> str:
    """Sign the same claims with HS256 and the public key for a secret: algorithm confusion (RFC 8725 §2.1)."""
    parts = Parts.of(token)
    header = _members(parts.header) | {"alg": "HS256"}
    message = f"{encoded(msgspec.json.encode(header))}.{parts.payload}"
    return f"{message}.{encoded(hmac.new(public_key, message.encode(), hashlib.sha256).digest())}"


def unprotected(token: str) -> str:
    """Say that the token has no signature (``alg: none``), and leave a byte where one was."""
    parts = Parts.of(token)
    header = _members(parts.header) | {"alg": "none"}
    return str(Parts(encoded(msgspec.json.encode(header)), parts.payload, encoded(b"\0")))


def stranger(kid: str) -> Signer:
    """Return a signer with a key that nobody trusts, under this name."""
    key = SigningKey.generate()
    return Ed25519Signer(kid, bytes(key) + bytes(key.verify_key))
