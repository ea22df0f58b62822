"""One good request for each credential, new each time: what `bench.credentials` has judged."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.credential_files import AUDIENCE, FOREIGN, FORMS, KID, OPAQUE, Held
from bench.tokens import IDENTITY, ISSUER, request
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.outgoing.signatures import Outline, SignedParts, signature_headers
from ott_extauthz.authn.paseto import HEADER, signing_input
from ott_extauthz.authn.paseto_times import rfc3339

BODY = json.dumps({"amount": 5, "padding": "x" * 2000}).encode()
BASELINE = "one-time token"
_BOUND = {"x5t#S256": IDENTITY.x5t_s256}
Claim = object
Put = Callable[[str, dict[str, Any]], None]
"""Keeps what an issuer says of an opaque token."""


@dataclass(frozen=True)
class Calls:
    """Makes the requests of callers who hold ``held``."""

    held: Held
    now_ms: Callable[[], int]
    keep: Put

    def all(self) -> dict[str, Callable[[], bytes]]:
        """What is measured, by its name."""
        foreign = {"cnf": {"jkt": self.held.jkt}}
        signed = {f"signed request, {name}": lambda name=name: self._signed(name) for name in FORMS}
        return {
            "public route": lambda: request("GET", "/public"),
            BASELINE: lambda: self._one_time("/ott"),
            f"{BASELINE}, DPoP": self._one_time_dpop,
            f"{BASELINE}, PASETO": lambda: request("GET", "/ott", ("x-ott", self._paseto())),
            f"{BASELINE}, verified by Envoy": self._told,
            "mandate": lambda: request("GET", "/mandate", ("authorization", f"Bearer {self._own('at+jwt')}")),
            "access token, ES256": lambda: self._bearer("/es256", self._access("ES256")),
            "access token, EdDSA": lambda: self._bearer("/eddsa-token", self._access("EdDSA")),
            "access token in a cookie, ES256": lambda: self._cookie(self._access("ES256")),
            "access token, ES256, DPoP": lambda: self._dpop("/at-dpop", self._access("ES256", **foreign)),
            "opaque access token, kept answer": lambda: self._bearer("/opaque", self._opaque()),
            "API key": lambda: request("GET", "/api-key", ("x-api-key", self.held.api_key.text)),
            **signed,
            "certificate": lambda: request("GET", "/certificate"),
            "all_of one-time token, hmac": self._both,
        }

    def _times(self, life: int = 60) -> dict[str, Any]:
        now = self.now_ms()
        return {"jti": secrets.token_urlsafe(16), "iat": now / 1000, "exp": now / 1000 + life}

    def _claims(self, **changes: Claim) -> dict[str, Any]:
        caller = {"iss": ISSUER, "sub": "spiffe://bank.bench/rgs", "client_id": "rgs", "aud": AUDIENCE}
        return (
            caller
            | self._times()
            | {"scope": "wallet:debit", "cnf": _BOUND, "txn": secrets.token_urlsafe(16)}
            | changes
        )

    def _jws(self, type_: str, claims: dict[str, Any], algorithm: str = "EdDSA", **header: Claim) -> str:
        head = {"alg": algorithm, "typ": type_} | (header or {"kid": KID})
        signed = f"{_part(head)}.{_part(claims)}"
        return f"{signed}.{encoded(self.held.maker(algorithm).sign(signed.encode()))}"

    def _own(self, type_: str = "ott+jwt", **changes: Claim) -> str:
        claims = self._claims(**changes)
        if type_ == "at+jwt":
            claims["authorization_details"] = [{"type": "mandate", "identifier": "m-1", "cidr": ["10.0.0.0/8"]}]
        return self._jws(type_, claims)

    def _one_time(self, path: str) -> bytes:
        return request("GET", path, ("x-ott", self._own()))

    def _one_time_dpop(self) -> bytes:
        token = self._own(cnf={"jkt": self.held.jkt})
        return request("GET", "/ott-dpop", ("x-ott", token), ("dpop", self._proof("/ott-dpop", token)))

    def _proof(self, path: str, token: str) -> str:
        ath = encoded(hashlib.sha256(token.encode()).digest())
        claims = {"jti": secrets.token_urlsafe(12), "htm": "GET", "htu": f"https://{AUDIENCE}{path}", "ath": ath}
        return self._jws("dpop+jwt", claims | {"iat": self.now_ms() // 1000}, "ES256", jwk=self.held.jwk)

    def _paseto(self) -> str:
        now_ms = self.now_ms()
        claims = json.dumps(self._claims(iat=rfc3339(now_ms), exp=rfc3339(now_ms + 60_000))).encode()
        footer = json.dumps({"kid": KID, "typ": "ott+paseto"}).encode()
        signature = self.held.paseto_maker.sign(signing_input(claims, footer))
        return f"{HEADER}{encoded(claims + signature)}.{encoded(footer)}"

    def _told(self) -> bytes:
        claims = self._claims()
        header = {"alg": "EdDSA", "kid": KID, "typ": "ott+jwt"}
        token = self._jws("ott+jwt", claims)
        return request("GET", "/ott-envoy", ("x-ott", token), told={"ott_payload": claims, "ott_header": header})

    def _access(self, algorithm: str, **more: Claim) -> str:
        claims = self._claims(iss=FOREIGN[algorithm], sub="player-7", scope="wallet:read", cnf=None) | more
        return self._jws("at+jwt", {name: value for name, value in claims.items() if value is not None}, algorithm)

    def _bearer(self, path: str, token: str) -> bytes:
        return request("GET", path, ("authorization", f"Bearer {token}"))

    def _cookie(self, token: str) -> bytes:
        return request("GET", "/cookie", ("cookie", f"theme=dark; __Host-session={token}; lang=en"))

    def _dpop(self, path: str, token: str) -> bytes:
        return request("GET", path, ("authorization", f"DPoP {token}"), ("dpop", self._proof(path, token)))

    def _opaque(self) -> str:
        token = f"op_{secrets.token_urlsafe(32)}"
        said = self._claims(iss=OPAQUE, sub="player-7", scope="wallet:read", token_type="Bearer", active=True)  # noqa: S106 - a kind
        self.keep(token, {name: value for name, value in said.items() if name != "cnf"})
        return token

    def _signed(self, name: str, path: str | None = None, *more: tuple[str, str]) -> bytes:
        target = path or f"/{name}"
        message = Message(method="POST", scheme="https", authority=AUDIENCE, target=target, headers={})
        outline = Outline(message=message, body=BODY, at_seconds=self.now_ms() // 1000)
        parts = SignedParts(components=tuple(each for each in SignedParts().components if each.name != "@query"))
        lines = signature_headers(self.held.partner(name), outline, parts, secrets.token_urlsafe(16))
        return request("POST", target, *lines, *more, body=BODY)

    def _both(self) -> bytes:
        return self._signed("hmac", "/all-of", ("x-ott", self._own()))


def _part(members: dict[str, Any]) -> str:
    return encoded(json.dumps(members, separators=(",", ":")).encode())
