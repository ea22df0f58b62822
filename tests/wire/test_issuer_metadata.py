"""What the issuer says of itself is well-formed (RFC 8414 §2) and true."""

from urllib.parse import urlsplit

import pytest

from ott_extauthz.wire.issuer_metadata import Abilities, IssuerUrls, metadata
from tests.issuer_bank import Bank

WELL_KNOWN = "/.well-known/oauth-authorization-server"
METHODS = ["tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt"]
ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]


async def test_it_says_what_is_on_and_nothing_else(bank: Bank) -> None:
    answer = await bank.request("GET", WELL_KNOWN, None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == {
        "issuer": bank.url,
        "token_endpoint": bank.url + "/token",
        "jwks_uri": bank.url + "/jwks",
        "introspection_endpoint": bank.url + "/introspect",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "authorization_details_types_supported": ["mandate"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "tls_client_certificate_bound_access_tokens": True,
    }


async def test_the_required_members_and_their_forms(bank: Bank) -> None:
    """RFC 8414 §2 and §3.2: strings, https URLs without query and fragment, arrays that are not empty but where §2
    asks for them, no null."""
    said = (await bank.request("GET", WELL_KNOWN, None)).json
    assert {"issuer", "response_types_supported", "token_endpoint"} <= set(said)
    assert "authorization_endpoint" not in said  # required unless no grant type uses it
    assert not {"authorization_code", "implicit"} & set(said["grant_types_supported"])
    for name, value in said.items():
        if name == "issuer" or name.endswith(("_endpoint", "_uri")):
            parts = urlsplit(value)
            assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")
            assert parts.netloc
        elif name != "response_types_supported":
            assert value is True or (value and all(isinstance(part, str) for part in value))


@pytest.mark.parametrize("endpoint", ["token_endpoint", "introspection_endpoint"])
def test_assertions_come_with_their_algorithms(endpoint: str) -> None:
    said = metadata(
        IssuerUrls("https://a.example"),
        Abilities(
            grant_types=["client_credentials"],
            authentication_methods=["tls_client_auth", "private_key_jwt"],
            authentication_algorithms=["EdDSA", "ES256"],
            authorization_details_types=["mandate"],
        ),
    )
    assert said[f"{endpoint}_auth_methods_supported"] == ["tls_client_auth", "private_key_jwt"]
    assert said[f"{endpoint}_auth_signing_alg_values_supported"] == ["EdDSA", "ES256"]
    assert "none" not in said[f"{endpoint}_auth_signing_alg_values_supported"]  # RFC 8414 §2
    assert said["authorization_details_types_supported"] == ["mandate"]
    assert "dpop_signing_alg_values_supported" not in said
