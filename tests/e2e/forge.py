"""Tokens, good ones and bad ones of every kind, made by a few lines of JOSE of our own.

The product's issuer has no part in them: what judges a token here has not also made it.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.bank.example"
CLIENT_ID = "rgs"
SUBJECT = "player-4711"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def now() -> float:
    return time.time()  # noqa: TID251 - a test plays an issuer, whose clock this is


def _number(value: int, size: int = 32) -> str:
    return b64(value.to_bytes(size, "big"))


@dataclass(frozen=True)
class Forge:
    """An issuer that signs whatever it is told to.  ``x5t_s256`` is the certificate its tokens are bound to."""

    x5t_s256: str
    ed25519: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    p256: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    rsa2048: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def public_key(self) -> bytes:
        return self.ed25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def jwks(self) -> str:
        point = self.p256.public_key().public_numbers()
        number = self.rsa2048.public_key().public_numbers()
        keys = [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "x": b64(self.public_key)},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": _number(point.x), "y": _number(point.y)},
            {"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": _number(number.n, 256), "e": _number(number.e, 3)},
        ]
        return json.dumps({"keys": [{**key, "use": "sig"} for key in keys]})

    def claims(self, **changes: object) -> dict[str, Any]:
        """A good token's claims with ``changes``; a claim set to None is left out."""
        issued = now()
        claims = {
            "iss": ISSUER,
            "sub": SUBJECT,
            "client_id": CLIENT_ID,
            "aud": "wallet.api",
            "jti": b64(secrets.token_bytes(16)),
            "iat": issued,
            "exp": issued + 30,
            "cnf": {"x5t#S256": self.x5t_s256},
            "scope": "wallet:debit",
            "txn": b64(secrets.token_bytes(16)),
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, **changes: object) -> str:
        """A token that is good but for ``changes`` to its claims."""
        return self.signed(self.claims(**changes))

    def signed(self, claims: Mapping[str, Any] | bytes, header: Mapping[str, Any] | None = None) -> str:
        """Sign claims by the algorithm that the header names; its members can be replaced, None leaves one out."""
        members = {"alg": "EdDSA", "kid": "ed", "typ": "ott+jwt"} | dict(header or {})
        members = {name: value for name, value in members.items() if value is not None}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signing_input = f"{b64(json.dumps(members).encode())}.{b64(payload)}"
        return f"{signing_input}.{b64(self._signature(members['alg'], signing_input.encode()))}"

    def _signature(self, algorithm: str, message: bytes) -> bytes:
        match algorithm:
            case "EdDSA":
                return self.ed25519.sign(message)
            case "ES256":
                r, s = decode_dss_signature(self.p256.sign(message, ec.ECDSA(hashes.SHA256())))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            case "RS256":
                return self.rsa2048.sign(message, PKCS1v15(), hashes.SHA256())
            case "HS256":  # algorithm confusion: the public key taken for a shared secret
                return hmac.new(self.public_key, message, hashlib.sha256).digest()
            case _:
                return b""
