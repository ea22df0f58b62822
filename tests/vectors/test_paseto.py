"""PASETO v4.public as published: the standard's own test vectors (paseto-standard/test-vectors, v4.json).

https://github.com/paseto-standard/test-vectors
"""

import json

import pytest
from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.keys import Ed25519Key
from ott_extauthz.authn.paseto import UnverifiedPaseto, signed_by, signing_input, unverified_from
from ott_extauthz.model.reason import Reason

SEED = bytes.fromhex("b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774")
PUBLIC = bytes.fromhex("1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2")
CLAIMS = b'{"data":"this is a signed message","exp":"2022-01-01T00:00:00+00:00"}'
FOOTER = b'{"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"}'
_SIGNED = "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9"
S_1 = _SIGNED + "bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA"
S_2 = _SIGNED + (
    "v3Jt8mx_TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdgnpKlt4p7xBnx1HcO-SPo8FPp214HDw"
    ".eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9"
)
S_3 = _SIGNED + (
    "NPWciuD3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4JR9ipdUSJbIovzmBECeaWmaqcaP0DQ"
    ".eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9"
)
KEY = Ed25519Key(SigningKey(SEED).verify_key)


def test_the_key_pair_is_the_published_one() -> None:
    assert bytes(KEY.key) == PUBLIC


@pytest.mark.parametrize(("token", "footer"), [(S_1, b""), (S_2, FOOTER)], ids=["4-S-1", "4-S-2"])
def test_what_is_signed_gives_the_published_signature(token: str, footer: bytes) -> None:
    signature = SigningKey(SEED).sign(signing_input(CLAIMS, footer)).signature
    tail = f".{encoded(footer)}" if footer else ""
    assert f"v4.public.{encoded(CLAIMS + signature)}{tail}" == token


def test_a_published_token_is_read_and_its_signature_holds() -> None:
    found = unverified_from(S_2)
    assert isinstance(found, UnverifiedPaseto)
    assert found.claims == json.loads(CLAIMS)
    assert (found.footer.kid, found.footer.type) == ("zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN", "")
    assert signed_by(KEY, found)


def test_a_token_without_footer_says_neither_key_nor_kind() -> None:
    assert unverified_from(S_1) is Reason.TOKEN_MALFORMED


def test_a_signature_with_an_implicit_assertion_is_not_one_without() -> None:
    found = unverified_from(S_3)
    assert isinstance(found, UnverifiedPaseto)
    assert not signed_by(KEY, found)


def test_pre_authentication_encoding() -> None:
    """PASETO, "PAE Definition": counts and lengths are little-endian, in eight bytes."""
    found = signing_input(b"", b"")
    assert found == (4).to_bytes(8, "little") + (10).to_bytes(8, "little") + b"v4.public." + b"\0" * 24
    assert decoded(S_1.split(".")[2]) is not None
