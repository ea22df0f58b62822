"""The clients' tokens and requests.  A token is known by its number, from which its ``jti`` follows."""

import base64
import json
import os
from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from nacl.signing import SigningKey

from ott_extauthz.model.token import TokenId, account_of
from tests.chaos.clocks import system_ms

ISSUER: Final = "https://issuer.chaos.example"
CLIENT: Final = "rgs"
ACCOUNTS: Final = 64
"""Subjects who call: in a cluster their accounts lie in as many buckets."""

POLICY: Final = """revision: "chaos"
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/debit"}
    credential: one_time_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
"""


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_HEADER: Final = _b64(json.dumps({"alg": "EdDSA", "kid": "chaos", "typ": "ott+jwt"}).encode())


@dataclass(frozen=True, slots=True)
class Token:
    """One token that a client holds."""

    number: int
    issued_at_ms: int
    expires_at_ms: int
    key: bytes
    account: bytes
    compact: str


class Mint:
    """Signs tokens; every load process has one of its own, all with the same key."""

    def __init__(self, seed: bytes, name: str, *, signs: bool) -> None:
        self._key = SigningKey(seed)
        self._name = name
        self._signs = signs
        self._number = 0

    @property
    def jwks(self) -> str:
        key = {"kty": "OKP", "crv": "Ed25519", "kid": "chaos", "use": "sig", "alg": "EdDSA"}
        return json.dumps({"keys": [{**key, "x": _b64(bytes(self._key.verify_key))}]})

    def jti(self, number: int) -> str:
        return f"{self._name}-{number:022d}"

    def token(self, lifetime_ms: int) -> Token:
        self._number += 1
        issued, jti = system_ms(), self.jti(self._number)
        expires = issued + lifetime_ms
        subject = f"player-{self._number % ACCOUNTS}"
        compact = self._compact(jti, subject, issued, expires) if self._signs else ""
        account = account_of(ISSUER, CLIENT, subject)
        return Token(self._number, issued, expires, TokenId(ISSUER, jti).digest, account, compact)

    def _compact(self, jti: str, subject: str, issued: int, expires: int) -> str:
        claims = {
            "iss": ISSUER, "sub": subject, "client_id": CLIENT, "aud": "wallet.api", "jti": jti, "iat": issued / 1000,
            "exp": expires / 1000,
        }  # fmt: skip
        signing_input = f"{_HEADER}.{_b64(json.dumps(claims).encode())}"
        return f"{signing_input}.{_b64(self._key.sign(signing_input.encode()).signature)}"


def check_request(token: Token) -> bytes:
    """Return what Envoy would ask about a call with this token."""
    request = CheckRequest()
    request.attributes.source.address.socket_address.address = "10.0.0.7"
    http = request.attributes.request.http
    http.id = os.urandom(8).hex()  # Envoy's own, another one for each request
    http.method, http.scheme, http.host, http.path = "POST", "https", "wallet.api", "/v1/debit"
    for name, value in (("accept", "*/*"), ("content-type", "application/json"), ("x-ott", token.compact)):
        http.header_map.headers.append(HeaderValue(key=name, raw_value=value.encode()))
    return bytes(request.SerializeToString())
