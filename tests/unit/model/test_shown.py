"""A credential in a place where none belongs is not written down; an id is."""

import hashlib
import secrets
import uuid

import pytest

from ott_extauthz.authn.api_key_form import new_key
from ott_extauthz.model.shown import MASK, shown_host, shown_method, shown_path
from tests.fakes.desk import Desk


@pytest.mark.parametrize(
    "path",
    ["/", "*", "/v1/wallets/w-17/debit", f"/files/{uuid.UUID(int=7)}", f"/blobs/{hashlib.sha256(b'').hexdigest()}",
     "/v1.public/x", "/eyJ", "/a_b/c.d", "/" + "a/" * 200, "/v1/ottkey_docs/page.html", "/games/monkeyJumpingAround",
     "/api/v1.public.html", "/apis/v1.local.example.com/x", "/releases/v2.10.3-rc.1", "/2026/the-quick-brown-fox"],
    ids=["root", "asterisk", "usual", "uuid", "sha256", "version", "short", "names", "deep", "prefix", "camel-case",
         "version-of-a-page", "version-of-a-host", "dotted-version", "slug"],
)  # fmt: skip
def test_ids_are_written(path: str) -> None:
    assert shown_path(path) == path


@pytest.mark.parametrize("form", ["token", "claims", "api-key", "paseto", "webhook", "long"])
def test_what_has_the_form_of_a_credential_is_not(form: str) -> None:
    token = Desk().token()
    secret = {
        "token": token,
        "claims": token.split(".", 1)[1],
        "api-key": new_key("acme", secrets.token_bytes).text,
        "paseto": "v4.public.abcdefgh",
        "webhook": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "long": "a" * 65,
    }[form]
    assert shown_path(f"/v1/{secret}/debit") == f"/v1/{MASK}/debit"
    assert shown_path(f"/v1/x={secret}") == f"/v1/{MASK}"


@pytest.mark.parametrize("before", ["monkeyJ", "eyJ", "eyJeyJ", "x"], ids=["word", "start", "starts", "letter"])
def test_what_stands_before_a_token_hides_it_from_nobody(before: str) -> None:
    assert shown_path(f"/v1/{before}{Desk().token()}") == f"/v1/{MASK}"
    assert shown_path(f"/{before}eyJhbGciOiJF") == f"/{MASK}"


def test_a_method_is_a_word() -> None:
    assert [shown_method(method) for method in ("POST", "M-SEARCH", "", "post", "A" * 18, "EYJ.A", "P\r\nX")] == [
        "POST", "M-SEARCH", *[MASK] * 5,
    ]  # fmt: skip


def test_a_host_has_labels_of_a_names_length() -> None:
    assert shown_host("wallet.api:8443") == "wallet.api:8443"
    assert shown_host("a" * 48 + ".b.c." + "d" * 20) == "a" * 48 + ".b.c." + "d" * 20
    assert shown_host(f"ottkey_a.{'a' * 49}.api") == f"ottkey_a.{MASK}.api"
