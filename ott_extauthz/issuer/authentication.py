"""Which client is asking?  Its certificate and its ``client_id`` go together, or nobody is (RFC 8705 §2).

No answer tells which of the two was wrong, or whether such a client exists.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request, value, values

_OTHER_CREDENTIALS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
_UNAUTHENTICATED: Final = OAuthError(OAuthErrorCode.INVALID_CLIENT, "client authentication failed", 401)
_NO_CERTIFICATE: Final = OAuthError(
    OAuthErrorCode.INVALID_CLIENT, "client authentication failed: no TLS client certificate was presented", 401
)


class Authenticator(Protocol):
    """Says which client makes a request."""

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, proven, or the refusal."""
        ...


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Knows clients by their certificates alone."""

    clients: Clients

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        """Return the client whose certificate this is."""
        if request.authorization or any(values(request.form, name) for name in _OTHER_CREDENTIALS):
            return invalid_request("clients authenticate with their TLS certificate and nothing else")
        if request.certificate is None:
            return _NO_CERTIFICATE
        client_id = value(request.form, "client_id")
        if client_id is None:
            return invalid_request("client_id is missing")
        client = self.clients.get(client_id)
        if client is None or not _holds(client, request):
            return _UNAUTHENTICATED
        return Requester(client=client, certificate=request.certificate)


def _holds(client: Client, request: TokenRequest) -> bool:
    certificate = request.certificate
    if certificate is None or not certificate.is_sound or not client.certificate.matches(certificate):
        return False
    # TLS looked at the dates once; a connection kept alive, or resumed, may outlive its certificate.
    return request.now_ms < certificate.not_after_ms
