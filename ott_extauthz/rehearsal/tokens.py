"""What token does a case carry?  Made and signed here, with keys that live as long as the rehearsal and no longer.

The Check then verifies it as it verifies any other: nothing of it is left out in a rehearsal.
"""

import hashlib
import json
import re
from typing import Any, Final

from nacl.signing import SigningKey
from pydantic import JsonValue

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.keys import Ed25519Key, TrustedIssuer
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import TokenKind
from ott_extauthz.rehearsal.cases import Proof, RequestCase, TokenCase

ISSUER: Final = "https://issuer.example"
KID: Final = "rehearsal"
_STALE_SECONDS: Final = 3600
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def certificate_named(name: str) -> Thumbprint:
    """Return the thumbprint of the certificate that a name stands for: of no real one, or the SHA-256 that it is."""
    if _SHA256.fullmatch(name):
        return Thumbprint(bytes.fromhex(name))
    return Thumbprint(hashlib.sha256(b"rehearsal certificate " + name.encode()).digest())


class Mint:
    """Signs tokens, and is trusted as whatever issuer they name."""

    def __init__(self) -> None:
        self._key, self._other, self._holder = (SigningKey.generate() for _ in range(3))
        self._count = 0

    def trusted(self, issuer: str) -> TrustedIssuer:
        """Return the trust in this mint under ``issuer``'s name."""
        return TrustedIssuer(issuer, frozenset({"EdDSA"}), {KID: Ed25519Key(self._key.verify_key)})

    def token(self, case: TokenCase, now_ms: int, kind: TokenKind = TokenKind.ONE_TIME) -> str:
        """Return the token of a case, a new one each time; ``kind`` is what it is where the case does not say."""
        self._count += 1
        claims = self._claims(case, now_ms)
        return self.signed(claims, type_=case.type or kind, signature=case.signature)

    def signed(self, claims: dict[str, Any], *, type_: str, signature: str = "valid") -> str:
        """Return ``claims`` as a compact JWS; ``signature`` says how good it is."""
        header = {"alg": "EdDSA", "kid": KID, "typ": type_}
        signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
        key = self._other if signature == "of_another_key" else self._key
        made = key.sign(signing_input.encode()).signature
        if signature == "broken":
            made = made[:-1] + bytes([made[-1] ^ 1])
        return f"{signing_input}.{encoded(made)}"

    def proof(self, how: Proof, token: str, request: RequestCase, at_ms: int) -> str:
        """Return a DPoP proof for ``token`` and ``request``, a new one each time; ``how`` says how good it is."""
        self._count += 1
        key = self._other if how == "of_another_key" else self._holder
        path = request.path.partition("?")[0] + ("/another" if how == "for_another_request" else "")
        claims = {
            "jti": f"rehearsal-{self._count:016d}",
            "htm": request.method,
            "htu": f"https://{request.host}{path}",
            "iat": at_ms // 1000 - (_STALE_SECONDS if how == "stale" else 0),
            "ath": encoded(hashlib.sha256(token.encode()).digest()),
        }
        return _jws({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": _jwk(key)}, claims, key)

    def _claims(self, case: TokenCase, now_ms: int) -> dict[str, Any]:
        issued_ms = now_ms - case.age
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "jti": f"rehearsal-{self._count:016d}",
            "iat": issued_ms / 1000,
            "exp": (issued_ms + case.lifetime) / 1000,
        }
        if case.bound_to is not None:
            claims["cnf"] = {"x5t#S256": encoded(certificate_named(case.bound_to))}
        if case.proof is not None:
            claims["cnf"] = claims.get("cnf", {}) | {"jkt": _thumbprint(_jwk(self._holder))}
        if case.auth_age is not None:
            claims["auth_time"] = (now_ms - case.auth_age) / 1000
        if case.digest_of is not None:
            claims["digest"] = _digest(case.digest_of)
        claims |= case.claims
        if case.signature == "of_an_unknown_issuer":
            claims["iss"] = f"{claims['iss']}/unknown"
        return {name: value for name, value in claims.items() if value is not None}


def _jws(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signing_input}.{encoded(key.sign(signing_input.encode()).signature)}"


def _jwk(key: SigningKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": encoded(bytes(key.verify_key))}


def _thumbprint(jwk: dict[str, str]) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    return encoded(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())


def _digest(body: JsonValue) -> str:
    """Return the digest of a body as a request of a case would bring it."""
    text = body if isinstance(body, str) else json.dumps(body)
    return encoded(hashlib.sha256(text.encode()).digest())
