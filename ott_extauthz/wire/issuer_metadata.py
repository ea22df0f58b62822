"""Where are the issuer's endpoints, and what does it say of itself (RFC 8414)?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True, slots=True)
class IssuerUrls:
    """The issuer's URL taken apart: where clients are sent, and the paths that are served."""

    issuer: str

    @property
    def base(self) -> str:
        """The URL that endpoint names are appended to."""
        return self.issuer.rstrip("/")

    @property
    def path(self) -> str:
        """Its path: a proxy may serve several issuers on one host."""
        return urlsplit(self.base).path

    @property
    def token(self) -> str:
        """The token endpoint."""
        return self.base + "/token"

    @property
    def introspection(self) -> str:
        """The introspection endpoint."""
        return self.base + "/introspect"

    @property
    def metadata_path(self) -> str:
        """The well-known path goes between host and path of the issuer (RFC 8414 §3.1)."""
        return _WELL_KNOWN + self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What is really on, each in the words of the registries; what is empty is not spoken of.

    ``authentication_algorithms`` are for assertions and belong with ``private_key_jwt`` (RFC 8414 §2: then required).
    """

    grant_types: Sequence[str]
    authentication_methods: Sequence[str]
    authentication_algorithms: Sequence[str] = ()
    dpop_algorithms: Sequence[str] = ()
    authorization_details_types: Sequence[str] = ()


def metadata(urls: IssuerUrls, abilities: Abilities) -> dict[str, Any]:
    """Return the authorization server metadata (RFC 8414 §2, RFC 8705 §3.3, RFC 9396 §10, RFC 9449 §5.1).

    ``issuer`` stands as configured, for clients compare it letter by letter (RFC 8414 §3.3).  There are no
    ``scopes_supported``: they would show everybody what is written in ``clients.yaml``.  There are no
    ``mtls_endpoint_aliases``: the one address asks for a certificate and also serves clients without.
    """
    signed = abilities.authentication_algorithms
    optional = {
        "token_endpoint_auth_signing_alg_values_supported": signed,
        "introspection_endpoint_auth_signing_alg_values_supported": signed,
        "dpop_signing_alg_values_supported": abilities.dpop_algorithms,
        "authorization_details_types_supported": abilities.authorization_details_types,
    }
    return {
        "issuer": urls.issuer,
        "token_endpoint": urls.token,
        "jwks_uri": urls.base + "/jwks",
        "introspection_endpoint": urls.introspection,
        "response_types_supported": [],  # required by §2; there is no authorization endpoint
        "grant_types_supported": list(abilities.grant_types),
        "token_endpoint_auth_methods_supported": list(abilities.authentication_methods),
        "introspection_endpoint_auth_methods_supported": list(abilities.authentication_methods),
        "tls_client_certificate_bound_access_tokens": True,
        **{name: list(values) for name, values in optional.items() if values},
    }
