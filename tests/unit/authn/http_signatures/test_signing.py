"""What is prepared for signing is what a verifier builds; what cannot be signed is said, with its place."""

import base64
import hashlib

import pytest

from ott_extauthz.authn.http_signatures.signing import DEFAULT_COMPONENTS, Claims, NotSignableError, Prepared, prepared
from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.model.message_component import component_from
from tests.fakes.signed_requests import BODY, request

COVERED = '("@method" "@authority" "@path" "@query" "content-digest")'
CLAIMS = Claims(
    keyid="k", algorithm=KeyAlgorithm.ED25519, created=1_750_000_000, nonce="n", expires=1_750_000_300, tag="t"
)


def default(content: bytes | None = BODY, headers: dict[str, str] | None = None) -> Prepared:
    return prepared(request(headers=headers), content, DEFAULT_COMPONENTS, CLAIMS)


def test_the_headers_carry_what_was_signed() -> None:
    ready = default()
    digest, told, signature = ready.headers(b"\x00\x01\x02")
    assert digest == ("content-digest", f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:")
    assert told == (
        "signature-input",
        f'ott={COVERED};created=1750000000;expires=1750000300;nonce="n";keyid="k";alg="ed25519";tag="t"',
    )
    assert signature == ("signature", "ott=:AAEC:")
    assert ready.base.decode().splitlines() == [
        '"@method": POST',
        '"@authority": pay.example',
        '"@path": /v1/pay',
        '"@query": ?id=7',
        f'"content-digest": {digest[1]}',
        f'"@signature-params": {told[1].removeprefix("ott=")}',
    ]


def test_a_digest_that_is_there_already_is_replaced_not_trusted() -> None:
    assert default(headers={"content-digest": "sha-256=:AAAA:"}).base == default().base


def test_without_content_the_header_stays_as_it_is() -> None:
    ready = default(None, {"content-digest": "sha-256=:AAAA:"})
    assert b'"content-digest": sha-256=:AAAA:' in ready.base
    assert [name for name, _ in ready.headers(b"")] == ["signature-input", "signature"]


@pytest.mark.parametrize("component", ["x-brand", "@path", '"x";key="a"'])
def test_a_component_that_the_request_has_not_is_named(component: str) -> None:
    message = request("*", headers={"x": "b=1"})
    with pytest.raises(NotSignableError, match=component_from(component).name):
        prepared(message, None, [component_from("@method"), component_from(component)], CLAIMS)


def test_a_value_with_a_line_break_is_not_signed_nor_quoted() -> None:
    message = request(headers={"x": "a\nsecret"})
    with pytest.raises(NotSignableError) as raised:
        prepared(message, None, [component_from("x")], CLAIMS)
    assert "secret" not in str(raised.value)
