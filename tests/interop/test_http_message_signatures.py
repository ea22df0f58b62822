"""PyPI's http-message-signatures signs what we verify, and verifies what we sign, with every algorithm."""

from dataclasses import dataclass
from typing import Any

import pytest
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.verifying import Signed, Wanted, verified
from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from tests.fakes.signed_requests import BODY, CREATED, PRIVATE, Sent, partner, request, signed

THEIRS: dict[KeyAlgorithm, Any] = {
    KeyAlgorithm.HMAC_SHA256: algorithms.HMAC_SHA256,
    KeyAlgorithm.ED25519: algorithms.ED25519,
    KeyAlgorithm.ECDSA_P256_SHA256: algorithms.ECDSA_P256_SHA256,
    KeyAlgorithm.RSA_PSS_SHA512: algorithms.RSA_PSS_SHA512,
}
RESOLVER = MappingKeyResolver(
    private_keys={each.value: key for each, key in PRIVATE.items()},
    public_keys={each.value: key if isinstance(key, bytes) else key.public_key() for each, key in PRIVATE.items()},
)
TARGET = "/v1/pay?id=7&note=caf%C3%A9+au+lait"
COVERED = (
    "@method", "@authority", "@scheme", "@path", "@query", "@target-uri", "@request-target",
    '"@query-param";name="note"', "content-type", '"priority";sf', '"priority";key="u"', '"x-lines";bs', "x-lines",
    "content-digest",
)  # fmt: skip
HEADERS = {"content-type": "application/json", "priority": "u=1,   i", "x-lines": "one,  two"}


@dataclass
class TheirMessage:
    """A request as that library wants one."""

    method: str
    url: str
    headers: dict[str, str]


def to_them(message: Message) -> TheirMessage:
    headers = {name: ", ".join(values) for name, values in message.headers.items()}
    return TheirMessage(message.method, f"{message.scheme}://{message.authority}{message.target}", headers)


def from_them(theirs: TheirMessage) -> Message:
    return request(TARGET, headers={name.lower(): value for name, value in theirs.headers.items()})


def signed_by_them(algorithm: KeyAlgorithm, **more: Any) -> TheirMessage:
    theirs = to_them(request(TARGET, headers=HEADERS))
    signer = HTTPMessageSigner(signature_algorithm=THEIRS[algorithm], key_resolver=RESOLVER)
    signer.sign(theirs, key_id=algorithm.value, covered_component_ids=COVERED[:-1], body=BODY, **more)
    return theirs


def verified_by_them(sent: Sent, algorithm: KeyAlgorithm, body: bytes = BODY, **more: Any) -> list[Any]:
    verifier = HTTPMessageVerifier(signature_algorithm=THEIRS[algorithm], key_resolver=RESOLVER)
    return list(verifier.verify(to_them(sent.message), max_age=None, body=body, **more))


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_what_they_sign_we_take_and_not_when_it_was_changed(algorithm: KeyAlgorithm) -> None:
    theirs = signed_by_them(algorithm, nonce="n-1", tag="app", label="theirs", include_alg=algorithm != "ed25519")
    message = from_them(theirs)
    found = verified(message, BODY, [partner()], Wanted(tag="app"))
    assert isinstance(found, Signed), found
    assert found.name == "nonce n-1"
    other = verified(message.with_header("priority", "u=2, i"), BODY, [partner()], Wanted())
    assert other == Rejection(Reason.SIGNATURE_INVALID)
    assert verified(message, BODY + b" ", [partner()], Wanted()) == Rejection(Reason.CONTENT_DIGEST_MISMATCH)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_what_we_sign_they_take_and_not_when_it_was_changed(algorithm: KeyAlgorithm) -> None:
    in_a_century = CREATED + 100 * 365 * 86_400  # they look at the machine's clock
    sent = signed(
        *COVERED, algorithm=algorithm, message=request(TARGET, headers=HEADERS), expires=in_a_century, tag="app"
    )
    (result,) = verified_by_them(sent, algorithm, require_components=COVERED, expect_tag="app")
    assert (result.label, result.body, result.parameters["keyid"]) == ("ott", BODY, algorithm.value)
    with pytest.raises(InvalidSignature):
        verified_by_them(sent.with_headers(content_type="text/plain"), algorithm)
    with pytest.raises(InvalidSignature):
        verified_by_them(sent, algorithm, body=b"other")
