"""Tokens as another implementation of PASETO makes them."""

import json
from typing import Any

import pyseto
from nacl.signing import SigningKey

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.paseto_times import rfc3339
from tests.fakes.issuer import ISSUER, KID, NOW_MS, FakeIssuer


class PasetoIssuer:
    """Signs with pyseto, lies included."""

    def __init__(self, issuer: str = ISSUER, kid: str = KID, seed: bytes = b"\1" * 32) -> None:
        self.claimed = FakeIssuer(issuer, kid, seed)
        self.key = SigningKey(seed)
        self._secret = pyseto.Key.from_asymmetric_key_params(4, d=seed)

    def trusted(self) -> TrustedIssuer:
        return TrustedIssuer(self.claimed.issuer, frozenset({"EdDSA"}), keys_from(self.claimed.jwks()))

    def claims(self, now_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
        """A good token's claims; a change to None leaves the claim out."""
        times = {"iat": rfc3339(now_ms), "exp": rfc3339(now_ms + 30_000)}
        return self.claimed.claims(now_ms, **(times | changes))

    def token(
        self,
        claims: dict[str, Any] | bytes | None = None,
        footer: dict[str, Any] | bytes | None = None,
        implicit_assertion: bytes = b"",
    ) -> str:
        """Sign these claims with this footer; members that are None are left out of it."""
        head = {"kid": self.claimed.kid, "typ": "ott+paseto"}
        if not isinstance(footer, bytes):
            members = {name: value for name, value in (head | (footer or {})).items() if value is not None}
            footer = json.dumps(members).encode()
        payload = claims if isinstance(claims, bytes) else json.dumps(self.claims() if claims is None else claims)
        signed: bytes = pyseto.encode(self._secret, payload, footer, implicit_assertion)
        return signed.decode()
