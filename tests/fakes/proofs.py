"""A client with a DPoP key that proves anything, lies included; made and signed by joserfc."""

import json
import secrets
import warnings
from typing import Any, Final

from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.model.facts import Thumbprint

TARGET: Final = "https://issuer.bank.example/token"
_ALGORITHMS: Final = ["EdDSA", "Ed25519", "ES256", "PS256", "RS256", "ES384", "HS256"]


def key_for(algorithm: str) -> ECKey | OKPKey | RSAKey:
    if algorithm in ("EdDSA", "Ed25519"):
        return OKPKey.generate_key("Ed25519")
    return ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(2048)


class Prover:
    """Holds one key."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm, self.key = algorithm, key_for(algorithm)

    @property
    def public(self) -> dict[str, Any]:
        return {name: text for name, text in self.key.as_dict(private=False).items() if name != "kid"}

    @property
    def jkt(self) -> Thumbprint:
        raw = decoded(self.key.thumbprint())
        assert raw is not None
        return Thumbprint(raw)

    def proof(self, now_ms: int, /, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a good proof with changes; one to None leaves the claim or header member out."""
        claims = {"jti": secrets.token_urlsafe(12), "htm": "POST", "htu": TARGET, "iat": now_ms // 1000} | changes
        return self.signed(claims, header)

    def signed(self, claims: dict[str, Any] | bytes, header: dict[str, Any] | None = None) -> str:
        members = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.public} | (header or {})
        payload = claims if isinstance(claims, bytes) else _json(claims)
        head = encoded(_json(members))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 has a newer name for EdDSA
            algorithm = JWSRegistry(algorithms=_ALGORITHMS).get_alg(self.algorithm)
        return f"{head}.{encoded(payload)}.{encoded(algorithm.sign(f'{head}.{encoded(payload)}'.encode(), self.key))}"


def _kept(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _json(claims: dict[str, Any]) -> bytes:
    return json.dumps(_kept(claims)).encode()
