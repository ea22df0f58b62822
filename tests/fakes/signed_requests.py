"""A partner that signs requests with keys of its own (RFC 9421), well and badly."""

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.signing import DEFAULT_COMPONENTS, Claims, prepared
from ott_extauthz.authn.partner_keys import public_key_from
from ott_extauthz.authn.partners import KeyAlgorithm, Partner, PartnerKey, SharedSecret, SignatureForm
from ott_extauthz.model.message_component import component_from

SECRET = bytes(range(32))
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(7, ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
BODY = b'{"amount": 5}'
CREATED = 1_750_000_000


def raw_ecdsa(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


SIGNERS: dict[KeyAlgorithm, Callable[[bytes], bytes]] = {
    KeyAlgorithm.HMAC_SHA256: lambda base: hmac.digest(SECRET, base, "sha256"),
    KeyAlgorithm.ED25519: ED25519.sign,
    KeyAlgorithm.ECDSA_P256_SHA256: lambda base: raw_ecdsa(P256.sign(base, ec.ECDSA(SHA256()))),
    KeyAlgorithm.RSA_PSS_SHA512: lambda base: RSA.sign(base, padding.PSS(padding.MGF1(SHA512()), 64), SHA512()),
}
PRIVATE: dict[KeyAlgorithm, Any] = {
    KeyAlgorithm.HMAC_SHA256: SECRET,
    KeyAlgorithm.ED25519: ED25519,
    KeyAlgorithm.ECDSA_P256_SHA256: P256,
    KeyAlgorithm.RSA_PSS_SHA512: RSA,
}


def pem(algorithm: KeyAlgorithm) -> bytes:
    public = PRIVATE[algorithm].public_key()
    return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def key_of(algorithm: KeyAlgorithm, kid: str | None = None) -> PartnerKey:
    """Return the partner's key as we have it; it is called as its algorithm where nothing else is said."""
    kid = kid or algorithm.value
    if algorithm is KeyAlgorithm.HMAC_SHA256:
        return SharedSecret(secret=SECRET, kid=kid)
    return public_key_from(pem(algorithm), kid=kid)


def partner(*keys: PartnerKey, name: str = "acme") -> Partner:
    return Partner(
        name=name,
        client_id=f"{name}-client",
        form=SignatureForm.HTTP_SIGNATURES,
        keys=keys or tuple(map(key_of, KeyAlgorithm)),
    )


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request to sign; what a test changes in ``message`` after signing is what an attacker changes on the way."""

    message: Message
    content: bytes = field(default=BODY, repr=False)

    def with_(self, **changes: Any) -> "Sent":
        return replace(self, message=replace(self.message, **changes))

    def with_headers(self, **headers: str | Sequence[str] | None) -> "Sent":
        found: dict[str, tuple[str, ...]] = dict(self.message.headers)
        for python_name, value in headers.items():
            name = python_name.replace("_", "-")
            found.pop(name, None)
            if value is not None:
                found[name] = (value,) if isinstance(value, str) else tuple(value)
        return self.with_(headers=found)


def request(
    target: str = "/v1/pay?id=7", headers: Mapping[str, str | tuple[str, ...]] | None = None, **changes: Any
) -> Message:
    given = headers or {"content-type": "application/json"}
    found = {name: (value,) if isinstance(value, str) else value for name, value in given.items()}
    return Message(**{
        "method": "POST", "scheme": "https", "authority": "pay.example", "target": target, "headers": found, **changes,
    })  # fmt: skip


def signed(
    *components: str,
    algorithm: KeyAlgorithm = KeyAlgorithm.ED25519,
    message: Message | None = None,
    content: bytes | None = BODY,
    **claims: Any,
) -> Sent:
    """Return a request that is signed; without ``components`` over what is always asked for."""
    message = message or request()
    told = {
        "keyid": algorithm.value,
        "algorithm": algorithm,
        "created": CREATED,
        "nonce": "n-0123456789abcdef",
        **claims,
    }
    covered = tuple(map(component_from, components)) or DEFAULT_COMPONENTS
    ready = prepared(message, content, covered, Claims(**told))
    headers = ready.headers(SIGNERS[algorithm](ready.base))
    return Sent(message=message, content=content or b"").with_headers(
        **{name.replace("-", "_"): v for name, v in headers}
    )


def signed_by_hand(
    input_text: str, *lines: str, message: Message | None = None, label: str = "sig",
    algorithm: KeyAlgorithm = KeyAlgorithm.ED25519, content: bytes = BODY, **headers: str | Sequence[str],
) -> Sent:  # fmt: skip
    """Return a request with a signature that is good over these very lines, whatever they say."""
    base = "\n".join([*lines, f'"@signature-params": {input_text}']).encode()
    value = component_signature(SIGNERS[algorithm](base))
    sent = Sent(message=message or request(), content=content)
    return sent.with_headers(**headers, signature_input=f"{label}={input_text}", signature=f"{label}={value}")


def component_signature(raw: bytes) -> str:
    return f":{base64.b64encode(raw).decode()}:"
