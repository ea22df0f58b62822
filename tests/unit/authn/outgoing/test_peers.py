"""Independent implementations take what we sign: PyPI's ``standardwebhooks`` and ``http-message-signatures``."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.signing import DEFAULT_COMPONENTS
from ott_extauthz.authn.outgoing.signatures import Outline, SignedParts, signature_headers
from ott_extauthz.authn.partner_keys import public_key_from
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.webhooks.standard import standard_message
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.model.message_component import component_from
from ott_extauthz.model.rejection import Rejection
from tests.fakes.partners import gathered
from tests.fakes.signing import SECRET, private_key, signing_key

BODY = b'{"amount":"5"}\xff'
NONCE = "a-nonce-of-twenty-two-c"
ALGORITHMS: dict[KeyAlgorithm, type[HTTPSignatureAlgorithm]] = {
    KeyAlgorithm.HMAC_SHA256: algorithms.HMAC_SHA256,
    KeyAlgorithm.ED25519: algorithms.ED25519,
    KeyAlgorithm.ECDSA_P256_SHA256: algorithms.ECDSA_P256_SHA256,
    KeyAlgorithm.RSA_PSS_SHA512: algorithms.RSA_PSS_SHA512,
}


def outgoing(**headers: str) -> Outline:
    sent = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    message = Message(
        method="POST", scheme="http", authority="shop.example", target="/hooks/paid?b=2&a=%20", headers=sent
    )
    return Outline(message=message, body=BODY, at_seconds=SystemClock().now_ms() // 1000)


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, algorithm: KeyAlgorithm) -> None:
        self._algorithm = algorithm

    def resolve_public_key(self, key_id: str) -> Any:
        assert key_id == "bank-1"
        if self._algorithm is KeyAlgorithm.HMAC_SHA256:
            return SECRET.encode()
        return private_key(self._algorithm).public_key()


def verified(algorithm: KeyAlgorithm, request: Outline, headers: dict[str, str]) -> Any:
    sent = {name: values[0] for name, values in request.message.headers.items()}
    url = f"https://{request.message.authority}{request.message.target}"
    message = requests.Request(request.message.method, url, headers=sent | headers, data=BODY).prepare()
    verifier = HTTPMessageVerifier(signature_algorithm=ALGORITHMS[algorithm], key_resolver=Keys(algorithm))
    [found] = verifier.verify(message, max_age=timedelta(minutes=5))
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_http_message_signatures_takes_what_we_sign(algorithm: KeyAlgorithm) -> None:
    key, request = signing_key(SignatureForm.HTTP_SIGNATURES, algorithm, "bank-1"), outgoing(content_type="text/plain")
    components = (*DEFAULT_COMPONENTS, component_from("content-type"))
    headers = dict(signature_headers(key, request, SignedParts(components=components, tag="pay"), NONCE))
    found = verified(algorithm, request, headers)
    assert set(found.covered_components) >= {'"@method"', '"@path"', '"@query"', '"content-digest"', '"content-type"'}
    assert found.parameters["nonce"] == NONCE
    assert found.parameters["tag"] == "pay"


@pytest.mark.parametrize(
    "change",
    [
        lambda message: replace(message, method="PUT"),
        lambda message: replace(message, target="/hooks/paid?b=3&a=%20"),
        lambda message: replace(message, authority="evil.example"),
    ],
)
def test_and_nothing_that_was_changed_on_its_way(change: Callable[[Message], Message]) -> None:
    key, request = signing_key(SignatureForm.HTTP_SIGNATURES, KeyAlgorithm.ED25519, "bank-1"), outgoing()
    headers = dict(signature_headers(key, request, SignedParts(), NONCE))
    with pytest.raises(InvalidSignature):
        verified(KeyAlgorithm.ED25519, replace(request, message=change(request.message)), headers)


def test_standardwebhooks_takes_what_we_sign() -> None:
    key, request = signing_key(SignatureForm.STANDARD_WEBHOOKS, KeyAlgorithm.HMAC_SHA256), outgoing()
    request = replace(request, body=b'{"amount":"5"}')
    headers = dict(signature_headers(key, request, SignedParts(), NONCE))
    webhook = Webhook(base64.b64encode(SECRET.encode()).decode())
    assert webhook.verify(request.body, headers) == {"amount": "5"}
    with pytest.raises(WebhookVerificationError):
        webhook.verify(b'{"amount":"6"}', headers)


def test_standard_webhooks_by_ed25519_are_read_by_our_own_side() -> None:
    """The peer knows no `v1a`."""
    key = signing_key(SignatureForm.STANDARD_WEBHOOKS, KeyAlgorithm.ED25519)
    headers = signature_headers(key, outgoing(webhook_id="evt_1"), SignedParts(keeps_id=True), NONCE)
    message = standard_message(gathered(*headers))
    assert not isinstance(message, Rejection)
    [offered] = message.signatures
    pem = private_key(KeyAlgorithm.ED25519).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_from(pem).verifies(message.preamble + BODY, offered.value)
    assert dict(headers)["webhook-id"] == "evt_1"
