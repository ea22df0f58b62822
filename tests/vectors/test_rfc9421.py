"""RFC 9421, Appendix B.2: published signatures verify over the bases that we build, and ours are the same."""

import base64
import hmac
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ott_extauthz.authn.http_signatures.base import signature_base
from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.offered import input_of, offers_in
from ott_extauthz.authn.http_signatures.verifying import Signed, Wanted, verified
from ott_extauthz.authn.partner_keys import public_key_from
from ott_extauthz.authn.partners import Partner, PartnerKey, SharedSecret, SignatureForm
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

CONTENT = b'{"hello": "world"}'
DIGEST = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
HEADERS = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-digest": DIGEST,
    "content-length": "18",
}
RSA_PSS = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
"""
P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
ED25519 = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
ED25519_PRIVATE = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
SECRET = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="

KEYS: dict[str, PartnerKey] = {
    "test-key-rsa-pss": public_key_from(RSA_PSS, kid="test-key-rsa-pss"),
    "test-key-ecc-p256": public_key_from(P256, kid="test-key-ecc-p256"),
    "test-key-ed25519": public_key_from(ED25519, kid="test-key-ed25519"),
    "test-shared-secret": SharedSecret(secret=base64.b64decode(SECRET), kid="test-shared-secret"),
}
PARTNER = Partner(name="rfc", client_id="rfc", form=SignatureForm.HTTP_SIGNATURES, keys=tuple(KEYS.values()))


class Published(NamedTuple):
    """What stands behind the label in `Signature-Input`, the signature, and the lines before the last of the base."""

    given: str
    signature: str
    lines: str


B21 = Published(
    '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eS"
    "kFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HEL"
    "jVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
    "",
)
B22 = Published(
    '("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss"'
    ';tag="header-example"',
    "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtA"
    "mj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcs"
    "Ik4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
    f'"@authority": example.com\n"content-digest": {DIGEST}\n"@query-param";name="Pet": dog\n',
)
B23 = Published(
    '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")'
    ';created=1618884473;keyid="test-key-rsa-pss"',
    "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O"
    "0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvf"
    "rs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
    f'"date": {HEADERS["date"]}\n"@method": POST\n"@path": /foo\n"@query": ?param=Value&Pet=dog\n'
    f'"@authority": example.com\n"content-type": application/json\n"content-digest": {DIGEST}\n"content-length": 18\n',
)
B25 = Published(
    '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    f'"date": {HEADERS["date"]}\n"@authority": example.com\n"content-type": application/json\n',
)
B26 = Published(
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"',
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    f'"date": {HEADERS["date"]}\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
    '"content-type": application/json\n"content-length": 18\n',
)
IN_REQUESTS = {"B.2.1": B21, "B.2.2": B22, "B.2.3": B23, "B.2.5": B25, "B.2.6": B26}


def message(input_text: str, signature: str) -> Message:
    headers = {**HEADERS, "signature-input": f"sig={input_text}", "signature": f"sig=:{signature}:"}
    return Message(
        method="POST",
        scheme="https",
        authority="example.com",
        target="/foo?param=Value&Pet=dog",
        headers={name: (value,) for name, value in headers.items()},
    )


@pytest.mark.parametrize("section", IN_REQUESTS)
def test_the_base_is_the_published_one_and_the_published_signature_holds_over_it(section: str) -> None:
    input_text, signature, lines = IN_REQUESTS[section]
    base = our_base(input_text, signature)
    assert base == f'{lines}"@signature-params": {input_text}'.encode()
    key = next(key for kid, key in KEYS.items() if f'keyid="{kid}"' in input_text)
    assert key.verifies(base, base64.b64decode(signature))
    assert not key.verifies(base + b"\n", base64.b64decode(signature))


def test_the_one_of_them_that_covers_enough_is_taken_whole() -> None:
    found = verified(message(*B23[:2]), CONTENT, [PARTNER], Wanted())
    assert isinstance(found, Signed)
    assert (found.partner.name, found.created_ms) == ("rfc", 1_618_884_473_000)


@pytest.mark.parametrize("section", ["B.2.1", "B.2.2", "B.2.5", "B.2.6"])
def test_those_that_leave_out_the_method_the_target_or_the_content_are_refused_though_they_verify(section: str) -> None:
    found = verified(message(*IN_REQUESTS[section][:2]), CONTENT, [PARTNER], Wanted())
    assert isinstance(found, Rejection)
    assert found.reason is Reason.SIGNATURE_INCOMPLETE


def test_the_signature_of_a_response_holds_over_its_published_base_and_no_request_may_carry_it() -> None:
    digest = "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:"
    input_text = (
        '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"'
    )
    base = (
        f'"@status": 200\n"content-type": application/json\n"content-digest": {digest}\n"content-length": 23\n'
        f'"@signature-params": {input_text}'
    )
    signature = "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
    assert KEYS["test-key-ecc-p256"].verifies(base.encode(), base64.b64decode(signature))
    found = verified(message(input_text, signature), CONTENT, [PARTNER], Wanted())
    assert found == Rejection(Reason.SIGNATURE_MALFORMED, detail="components")


def our_base(input_text: str, signature: str) -> bytes:
    request = message(input_text, signature)
    (offer,) = offers_in(request.headers)
    given = input_of(offer)
    base = signature_base(request, given.components, given.parameters_text)
    assert base is not None
    return base


def test_a_secret_signs_our_base_with_the_published_bytes() -> None:
    made = hmac.digest(base64.b64decode(SECRET), our_base(*B25[:2]), "sha256")
    assert base64.b64encode(made).decode() == B25[1]


def test_ed25519_signs_our_base_with_the_published_bytes() -> None:
    private = load_pem_private_key(ED25519_PRIVATE, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    assert base64.b64encode(private.sign(our_base(*B26[:2]))).decode() == B26[1]
