"""Only a plain https URL is asked for keys."""

import pytest

from ott_extauthz.documents.https_url import HttpsUrl, https_url


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.bank.example/jwks", "https://localhost", "https://127.0.0.1:8443/a?b=c&d=%20",
        "https://[::1]:8443/jwks", "https://a:65535/", "https://a/~x/$y/[z]",
    ],
)  # fmt: skip
def test_an_https_url_is_one(url: str) -> None:
    found = https_url(url)
    assert isinstance(found, HttpsUrl)
    assert found == url


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/jwks", "HTTPS://issuer.example/jwks", "https://", "https:///jwks", "https:/x",
        "https://user@issuer.example/", "https://user:secret@issuer.example/", "https://issuer.example/#x",
        "https://issuer.example\\@evil.example/", "https://issuer.example/a b", "https://issuer.example/\n",
        "https://issuer.example/é", "https://issuer.example?x", "https://a:999999/", "https://a:65536/",
        "https://a:0/", "https://-a/",
        "https://a..", "https://.a", "file:///etc/passwd", "ftp://a/b", "https://a/" + "x" * 2048, "",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an https URL"):
        https_url(url)
