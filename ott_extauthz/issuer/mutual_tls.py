"""Is this the client's certificate?  ``tls_client_auth`` and ``self_signed_tls_client_auth`` (RFC 8705 §2).

The two never help each other.  A self-signed certificate has whatever names its owner liked, and TLS takes it only
because it is listed: it proves to be that one client, pinned by its hash, and matches nobody else by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ott_extauthz.issuer.attempt import Attempt
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.model.facts import Thumbprint


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Knows clients by their certificates; ``self_signed`` says whose each listed self-signed one is."""

    self_signed: Mapping[Thumbprint, str]

    async def prove(self, attempt: Attempt, client: Client | None, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, if the certificate of its request is its own."""
        certificate = in_force(request)
        if client is None or certificate is None:
            return attempt.refusal
        owner = self.self_signed.get(certificate.sha256)
        if client.authentication is Method.SELF_SIGNED_TLS and owner == client.client_id:
            return Requester(client=client, certificate=certificate.nameless)
        if client.authentication is Method.TLS and owner is None and _is_named(client, certificate):
            return Requester(client=client, certificate=certificate)
        return attempt.refusal


def in_force(request: TokenRequest) -> PresentedCertificate | None:
    """Return the certificate if it is still good.

    TLS looked at the dates once; a connection kept alive, or resumed, may outlive its certificate.
    """
    certificate = request.certificate
    return certificate if certificate is not None and request.now_ms < certificate.not_after_ms else None


def _is_named(client: Client, certificate: PresentedCertificate) -> bool:
    return certificate.is_sound and client.certificate is not None and client.certificate.matches(certificate)
