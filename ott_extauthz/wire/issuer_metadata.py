"""Where are the issuer's endpoints, and what does it say of itself (RFC 8414)?"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ott_extauthz.authn.mandates import MANDATE
from ott_extauthz.issuer.exchange import TOKEN_EXCHANGE
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS

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
    def metadata_path(self) -> str:
        """The well-known path goes between host and path of the issuer (RFC 8414 §3.1)."""
        return _WELL_KNOWN + self.path


def metadata(urls: IssuerUrls) -> dict[str, Any]:
    """Return the authorization server metadata (RFC 8414 §2, RFC 8705 §3.3).

    ``issuer`` stands as configured, for clients compare it letter by letter (RFC 8414 §3.3).
    """
    return {
        "issuer": urls.issuer,
        "token_endpoint": urls.base + "/token",
        "jwks_uri": urls.base + "/jwks",
        "response_types_supported": [],  # required by §2; there is no authorization endpoint
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "authorization_details_types_supported": [MANDATE],  # RFC 9396 §10
        "token_endpoint_auth_methods_supported": ["tls_client_auth"],
        "tls_client_certificate_bound_access_tokens": True,
    }
