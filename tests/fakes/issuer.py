"""An issuer that signs anything, lies included."""

import json
from typing import Any

from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer

ISSUER = "https://issuer.bank.example"
AUDIENCE = "wallet.api"
NOW_MS = 1_795_000_000_000
KID = "k1"
THUMBPRINT = bytes(range(32))


class FakeIssuer:
    """Holds one Ed25519 key."""

    def __init__(self, issuer: str = ISSUER, kid: str = KID, seed: bytes = b"\1" * 32) -> None:
        self.issuer, self.kid, self._key = issuer, kid, SigningKey(seed)

    def jwks(self) -> bytes:
        public = encoded(bytes(self._key.verify_key))
        return json.dumps(
            {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": public}]}
        ).encode()

    def trusted(self) -> TrustedIssuer:
        return TrustedIssuer(self.issuer, frozenset({"EdDSA"}), keys_from(self.jwks()))

    def claims(self, now_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
        """A good token's claims; a change to None leaves the claim out."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "spiffe://bank.example/rgs",
            "client_id": "rgs",
            "aud": AUDIENCE,
            "jti": encoded(bytes(range(100, 116))),
            "iat": now_ms / 1000,
            "exp": now_ms / 1000 + 30,
            "cnf": {"x5t#S256": encoded(THUMBPRINT)},
            "scope": "wallet:debit",
            "txn": "txn-1",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> str:
        """Sign these claims under this header; members of ``header`` that are None are left out."""
        head = {"alg": "EdDSA", "kid": self.kid, "typ": "ott+jwt"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return self.sign(json.dumps(head).encode(), json.dumps(self.claims() if claims is None else claims).encode())

    def sign(self, header: bytes, payload: bytes) -> str:
        """Sign these very bytes."""
        signing_input = f"{encoded(header)}.{encoded(payload)}"
        return f"{signing_input}.{encoded(self._key.sign(signing_input.encode()).signature)}"
