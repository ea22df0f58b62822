"""Requests to measure with: one fresh token each, 2 KB, as Envoy would send them."""

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import ParseDict
from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.demo.pki import Authority
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.wire.decode import JWT_AUTHN

ISSUER = "https://issuer.bench"
_KEY = SigningKey.generate()
AUTHORITY = Authority("bench")
IDENTITY = AUTHORITY.issue("rgs", uri="spiffe://bank.bench/rgs")
_CERTIFICATE = quote(IDENTITY.certificate_pem.decode(), safe="")


class _Signer:
    kid = "bench"
    algorithm = "EdDSA"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        return [_KEY.sign(message).signature for message in messages]


class _Ring:
    signer = _Signer()
    jwks = b""

    async def run(self) -> None: ...


class _Clock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000  # noqa: TID251 - a real server reads the same clock

    def monotonic(self) -> float:
        return time.monotonic()


_MINTER = Minter(issuer=ISSUER, rings={DEFAULT_RING: _Ring()}, clock=_Clock(), entropy=secrets.token_bytes)
_ORDER = MintOrder(
    subject="spiffe://bank.bench/rgs", client_id="rgs", audience="wallet.api", scope=frozenset({"wallet:debit"}),
    lifetime_ms=300_000, thumbprint=IDENTITY.thumbprint,
)  # fmt: skip


def jwks() -> bytes:
    """The key set that verifies these tokens."""
    x = encoded(bytes(_KEY.verify_key))
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "bench", "use": "sig", "x": x}]}).encode()


def debit() -> bytes:
    """A request for the one-time route, with a token of its own."""
    (token,) = asyncio.run(_MINTER.mint([_ORDER]))
    return debit_with(token)


def debit_with(token: str) -> bytes:
    """A request for the one-time route with this token."""
    return request("POST", f"/v1/wallets/{secrets.randbelow(10**6)}/debit", ("x-ott", token))


def public() -> bytes:
    """A request for the public route."""
    return request("GET", "/healthz")


def request(
    method: str, path: str, *more: tuple[str, str], body: bytes = b"", told: dict[str, Any] | None = None
) -> bytes:
    """A request of our caller's; ``told`` is what Envoy's `jwt_authn` says of it."""
    made = CheckRequest()
    attributes = made.attributes
    attributes.source.address.socket_address.address = "10.0.0.7"
    attributes.source.principal = "spiffe://bank.bench/rgs"
    attributes.source.certificate = _CERTIFICATE
    http = attributes.request.http
    http.method, http.scheme, http.host, http.path = method, "https", "wallet.api", path
    common = [(f"x-custom-{index}", "value-of-some-length-0123456789") for index in range(14)]
    common += [("accept", "*/*"), ("user-agent", "bench/1"), ("content-type", "application/json"), (":path", path)]
    common += [("x-envoy-auth-partial-body", "false")] if body else []
    for name, value in (*common, *more):
        http.header_map.headers.append(HeaderValue(key=name, raw_value=value.encode()))
    http.raw_body = body
    if told is not None:
        ParseDict(told, attributes.metadata_context.filter_metadata[JWT_AUTHN])
    return bytes(made.SerializeToString())
