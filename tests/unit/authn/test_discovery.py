"""Where an issuer says that its keys are: its own word, on its own host, or nothing."""

import json
from typing import Any

import pytest

from ott_extauthz.authn.discovery import MAX_METADATA_BYTES, DiscoveryError, WellKnown, jwks_url_from, metadata_url

ISSUER = "https://idp.example/tenant"


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        ("https://idp.example", "https://idp.example/.well-known/openid-configuration",
         "https://idp.example/.well-known/oauth-authorization-server"),
        ("https://idp.example/", "https://idp.example/.well-known/openid-configuration",
         "https://idp.example/.well-known/oauth-authorization-server"),
        ("https://idp.example:8443/a/b", "https://idp.example:8443/a/b/.well-known/openid-configuration",
         "https://idp.example:8443/.well-known/oauth-authorization-server/a/b"),
        ("https://idp.example/a/", "https://idp.example/a/.well-known/openid-configuration",
         "https://idp.example/.well-known/oauth-authorization-server/a"),
    ],
)  # fmt: skip
def test_openid_appends_and_oauth_inserts(issuer: str, openid: str, oauth: str) -> None:
    """OpenID Connect Discovery 1.0 §4, RFC 8414 §3.1."""
    assert metadata_url(issuer, WellKnown.OPENID) == openid
    assert metadata_url(issuer, WellKnown.OAUTH) == oauth


@pytest.mark.parametrize(
    "issuer", ["http://idp.example", "idp.example", "https://idp.example?x=1", "https://u@idp.example", "https://a/#b"]
)
def test_only_an_https_url_is_discovered(issuer: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        metadata_url(issuer, WellKnown.OPENID)


def place(hosts: tuple[str, ...] = (), **changes: Any) -> str:
    metadata = {"issuer": ISSUER, "jwks_uri": "https://idp.example/keys"} | changes
    return jwks_url_from(json.dumps(metadata).encode(), issuer=ISSUER, hosts=hosts)


def test_the_place_is_taken_from_the_issuers_own_metadata() -> None:
    assert place() == "https://idp.example/keys"
    assert place(jwks_uri="https://IDP.example:443/keys?v=2") == "https://IDP.example:443/keys?v=2"
    assert place(("keys.cdn.example",), jwks_uri="https://keys.cdn.example/a") == "https://keys.cdn.example/a"
    assert place(("keys.cdn.example:8443",), jwks_uri="https://keys.cdn.example:8443/a")


@pytest.mark.parametrize("issuer", [None, "", "https://idp.example", ISSUER + "/", ISSUER.upper(), [ISSUER]])
def test_metadata_of_another_issuer_is_none(issuer: Any) -> None:
    with pytest.raises(DiscoveryError, match="not exactly the one"):
        place(issuer=issuer)


@pytest.mark.parametrize(
    "jwks_uri", [None, 7, "", "/keys", "http://idp.example/keys", "file:///etc/passwd", "https://u:p@idp.example/keys"]
)
def test_a_place_that_is_no_https_url_is_refused(jwks_uri: Any) -> None:
    with pytest.raises(DiscoveryError, match="not an https URL"):
        place(jwks_uri=jwks_uri)


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "127.0.0.1", "[::1]", "localhost", "idp.example:8443", "idp.example.evil.example",
     "evil.example", "keys.cdn.example:444", "sub.keys.cdn.example"],
)  # fmt: skip
def test_metadata_leads_nowhere_but_to_the_hosts_that_were_meant(host: str) -> None:
    with pytest.raises(DiscoveryError, match="another host"):
        place(("keys.cdn.example",), jwks_uri=f"https://{host}/keys")


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[]", b"null", b"{", b'{"issuer": "a", "issuer": "b"}', b"[" * 100_000]
)
def test_what_is_no_metadata_is_refused(document: bytes) -> None:
    with pytest.raises(DiscoveryError, match="metadata: "):
        jwks_url_from(document, issuer=ISSUER, hosts=())


def test_huge_metadata_is_not_read() -> None:
    with pytest.raises(DiscoveryError, match="larger than"):
        jwks_url_from(b" " * (MAX_METADATA_BYTES + 1), issuer=ISSUER, hosts=())
