"""A Check server's files with a route for every credential, and what its callers hold to meet them."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.signing import SigningKey

from bench.tokens import AUTHORITY, ISSUER
from ott_extauthz.authn.api_key_entry import instant_text
from ott_extauthz.authn.api_key_form import NewKey, new_key
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.outgoing import signing_keys
from ott_extauthz.authn.outgoing.signing_keys import Ed25519Maker, Maker, P256Maker, SecretMaker
from ott_extauthz.authn.partners import SignatureForm
from ott_extauthz.demo.pki import write_private

FOREIGN = {"ES256": "https://es.bench", "EdDSA": "https://ed.bench"}
OPAQUE = "https://opaque.bench"
AUDIENCE = "wallet.api"
KID = "bench"
_ANYBODY = {"bound_to": [], "unbound": "accept the risk", "scopes": ["wallet:read"]}
_ACCESS = {"credential": "access_token", "issuers": [FOREIGN["ES256"]], **_ANYBODY}
_ONE_TIME = {"credential": "one_time_token", "scopes": ["wallet:debit"]}
_CALLER = {"spiffe_ids": ["spiffe://bank.bench/rgs"]}
ROUTES: dict[str, dict[str, Any]] = {
    "ott": _ONE_TIME,
    "ott-dpop": _ONE_TIME | {"bound_to": ["dpop"]},
    "ott-envoy": _ONE_TIME | {"verified_by": "envoy"},
    "mandate": {"credential": "mandate", "scopes": ["wallet:debit"]},
    "es256": _ACCESS,
    "eddsa-token": _ACCESS | {"issuers": [FOREIGN["EdDSA"]]},
    "cookie": _ACCESS | {"from": {"cookie": "__Host-session"}},
    "at-dpop": {"credential": "access_token", "issuers": [FOREIGN["ES256"]], "bound_to": ["dpop"]},
    "opaque": _ACCESS | {"issuers": [OPAQUE]},
    "api-key": {"credential": "api_key", "scopes": ["wallet:debit"]},
    "certificate": {"credential": "certificate", "certificate": _CALLER},
    "all-of": {
        "all_of": [
            {"credential": "one_time_token"},
            {"credential": "signed_request", "signed_request": {"partners": ["hmac"]}},
        ]
    },
    "public": {"credential": "public"},
}
FORMS = {
    "hmac": (SignatureForm.HMAC, "secret"),
    "eddsa": (SignatureForm.EDDSA, "ed25519"),
    "webhook": (SignatureForm.STANDARD_WEBHOOKS, "secret"),
    "http-ed25519": (SignatureForm.HTTP_SIGNATURES, "ed25519"),
    "http-hmac": (SignatureForm.HTTP_SIGNATURES, "secret"),
}


def _ed25519(key: SigningKey) -> Maker:
    return Ed25519Maker(secret=bytes(key) + bytes(key.verify_key))


@dataclass(frozen=True)
class Held:
    """The keys of one run."""

    own: SigningKey = field(default_factory=SigningKey.generate)
    paseto: SigningKey = field(default_factory=SigningKey.generate)
    p256: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    partners: dict[str, SigningKey] = field(default_factory=lambda: {name: SigningKey.generate() for name in FORMS})
    api_key: NewKey = field(default_factory=lambda: new_key("ottkey", secrets.token_bytes))

    @property
    def paseto_maker(self) -> Maker:
        """What signs PASETOs: a key is for one format."""
        return _ed25519(self.paseto)

    def maker(self, algorithm: str) -> Maker:
        """What signs tokens and proofs."""
        return P256Maker(key=self.p256) if algorithm == "ES256" else _ed25519(self.own)

    def partner(self, name: str) -> signing_keys.SigningKey:
        """What signs this partner's requests; a secret is the hexadecimal text of its key."""
        form, kind = FORMS[name]
        key = self.partners[name]
        maker = _ed25519(key) if kind == "ed25519" else SecretMaker(secret=bytes(key) if form is _WHSEC else _text(key))
        return signing_keys.SigningKey(form=form, maker=maker, keyid=name)

    @property
    def jwk(self) -> dict[str, str]:
        """The P-256 key's public half."""
        numbers = self.p256.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    @property
    def jkt(self) -> str:
        """Its thumbprint (RFC 7638)."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return encoded(hashlib.sha256(text.encode()).digest())


def _public(key: SigningKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": encoded(bytes(key.verify_key))}


_WHSEC = SignatureForm.STANDARD_WEBHOOKS


def _text(key: SigningKey) -> bytes:
    return bytes(key).hex().encode()


def write(folder: Path, held: Held, now_ms: int, *, with_domains: bool) -> Path:
    """Write every file that production has for this; returns the configuration."""
    for name, jwk in (("ed.json", _public(held.own)), ("paseto.json", _public(held.paseto)), ("es.json", held.jwk)):
        (folder / name).write_text(json.dumps({"keys": [jwk | {"kid": KID, "use": "sig"}]}))
    write_private(folder / "login-secret", b"of-the-bench")
    key = held.api_key
    entry = {"id": key.id, "sha256": key.digest.hex(), "client_id": "rgs", "scopes": ["wallet:debit"]}
    entry |= {"created": instant_text(now_ms - 86_400_000), "expires": instant_text(now_ms + 90 * 86_400_000)}
    _document(folder / "api-keys.yaml", {"keys": [entry]})
    (folder / "bundle.pem").write_bytes(AUTHORITY.certificate_pem)
    _document(folder / "partners.yaml", {"partners": [_partner(folder, held, name) for name in FORMS]})
    _document(folder / "policy.yaml", {"revision": "bench", "routes": list(_routes())})
    _document(folder / "ott.yaml", _settings() | (_DOMAINS if with_domains else {}))
    return folder / "ott.yaml"


_DOMAINS = {"trust_domains": {"bank.bench": {"bundle": "bundle.pem"}}}


def _document(path: Path, content: object) -> None:
    write_private(path, json.dumps(content).encode())


def _routes() -> Iterator[dict[str, Any]]:
    for name, asks in ROUTES.items():
        audience = {} if name == "public" else {"audience": AUDIENCE}
        yield {"name": name, "match": {"path": f"/{name}"}, **audience, **asks}
    for name in FORMS:
        terms = {"credential": "signed_request", "signed_request": {"partners": [name]}}
        yield {"name": name, "match": {"path": f"/{name}"}, "audience": AUDIENCE, **terms}


def _partner(folder: Path, held: Held, name: str) -> dict[str, Any]:
    (form, kind), key = FORMS[name], held.partners[name]
    entry: dict[str, str] = {"kid": name}
    if kind == "secret":
        write_private(folder / f"{name}.secret", _secret_text(key) if form is _WHSEC else _text(key) + b"\n")
        entry["secret_file"] = f"{name}.secret"
    else:
        (folder / f"{name}.pem").write_bytes(_pem(key))
        entry["public_key_file"] = f"{name}.pem"
    return {"name": name, "client_id": "rgs", "form": str(form), "keys": [entry]}


def _secret_text(key: SigningKey) -> bytes:
    return b"whsec_" + base64.b64encode(bytes(key)) + b"\n"


def _pem(key: SigningKey) -> bytes:
    public = Ed25519PublicKey.from_public_bytes(bytes(key.verify_key))
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _settings() -> dict[str, Any]:
    own = {"issuer": ISSUER, "jwks": "ed.json", "algorithms": ["EdDSA"]}
    foreign = [
        {"issuer": name, "jwks": f"{algorithm[:2].lower()}.json", "algorithms": [algorithm], "access_tokens": {}}
        for algorithm, name in FOREIGN.items()
    ]
    return {
        "store": "memory://",
        "policy": "policy.yaml",
        "trust": [own, own | {"format": "paseto", "jwks": "paseto.json"}, *foreign],
        "partners": "partners.yaml",
        "api_keys": {"file": "api-keys.yaml"},
        "introspection": [
            {
                "issuer": OPAQUE, "endpoint": "http://127.0.0.1:9/introspect", "plain_loopback": "accept the risk",
                "client_id": "rgs", "authentication": "client_secret_basic", "secret_file": "login-secret",
                "prefix": "op_", "cache": {"active": "60s"},
            }
        ],
    }  # fmt: skip
